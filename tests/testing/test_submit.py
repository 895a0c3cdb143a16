from __future__ import annotations

import json

import pytest

from airflow_provider_scnet.testing.submit import life_of

PATH = "/apptemplates/BASIC/BASE/job"
INFO = {
    "GAP_CMD_FILE": "sleep 30\nsleep 12.5",
    "GAP_NNODE": "2",
    "GAP_NODE_STRING": "",
    "GAP_SUBMIT_TYPE": "cmd",
    "GAP_JOB_NAME": "demo_1",
    "GAP_WORK_DIR": "/public/home/acexample01/run1",
    "GAP_QUEUE": "normal",
    "GAP_PPN": "4",
    "GAP_WALL_TIME": "24:00:00",
    "GAP_APPNAME": "BASE",
}


def body(scheduler: object = 1638523853, **changes: object) -> dict[str, object]:
    info = {name: value for name, value in {**INFO, **changes}.items() if value is not None}
    return {"strJobManagerID": scheduler, "mapAppJobInfo": info}


def test_a_job_is_submitted_and_runs(scnet, call):
    assert call("POST", PATH, json=body()) == {"code": "0", "msg": "success", "data": "101"}
    job = scnet.job(101)
    assert (job.name, job.queue, job.user) == ("demo_1", "normal", "acexample01")
    assert (job.nodes, job.procs, job.work_dir) == (2, 8, INFO["GAP_WORK_DIR"])
    assert job.state == "RUNNING"
    scnet.clock.advance(43)
    assert job.state == "COMPLETED"


def test_nodes_by_name_and_a_scheduler_as_text(scnet, call):
    changes = {"GAP_NNODE": "", "GAP_NODE_STRING": "n1,n2,n3", "GAP_PPN": "", "GAP_NPROC": "5"}
    assert call("POST", PATH, json=body("2000000000", **changes))["code"] == "0"
    job = scnet.job("101")
    assert (job.scheduler_id, job.nodes, job.procs) == ("2000000000", 3, 5)


def test_a_number_as_id(scnet, call):
    scnet.numeric_ids = True
    assert call("POST", PATH, json=body())["data"] == 101


def test_what_a_job_writes(scnet, call):
    changes = {"GAP_CMD_FILE": "echo begin\necho 'no mesh' >&2; sleep 1; exit 3", "GAP_STD_OUT_FILE": "/a/out.%j"}
    call("POST", PATH, json=body(**changes))
    job = scnet.job(101)
    assert job.logs == {"stdout": "begin\n", "stderr": "no mesh\n"}
    assert (job.log_path("stdout"), job.log_path("stderr")) == ("/a/out.101", f"{job.work_dir}/std.err.101")
    page = call("POST", "/file/content", data={"dirPath": "/a/out.101", "triggerNum": "1", "rollDirection": "UP"})
    assert page["data"]["data"] == "begin\n"


def test_job_without_an_output_path_writes_nothing(scnet, call):
    call("POST", PATH, json=body(GAP_CMD_FILE="echo begin", GAP_WORK_DIR="relative"))
    assert scnet.job(101).logs == {}


SCRIPT = {"GAP_SUBMIT_TYPE": "sched", "GAP_CMD_FILE": "", "GAP_SCHED_FILE": "/public/home/acexample01/run.slurm"}


def test_script_file_that_lies_on_the_cluster(scnet, call, history):
    scnet.scripts[SCRIPT["GAP_SCHED_FILE"]] = "#!/bin/bash\necho begin\nsleep 30\nexit 3\n"
    job = scnet.job(call("POST", PATH, json=body(**SCRIPT))["data"])
    assert (job.ends_at - job.submitted_at, job.logs["stdout"]) == (30, "begin\n")
    scnet.clock.advance(31)
    (record,) = history()["data"]["list"]
    assert (record["command"], record["jobState"], record["walltime"]) == (SCRIPT["GAP_SCHED_FILE"], "statD", 86400)


def test_script_file_that_nobody_has_written(scnet, call):
    job = scnet.job(call("POST", PATH, json=body(**SCRIPT))["data"])
    assert (job.ends_at - job.submitted_at, job.outcome) == (1, "COMPLETED")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"GAP_SCHED_FILE": None}, "10003"),
        ({"GAP_SCHED_FILE": "run.slurm"}, "10004"),
        ({"GAP_SUBMIT_TYPE": "cmd"}, "10003"),
    ],
)
def test_wrong_submissions_by_script_file(scnet, call, changes, code):
    assert call("POST", PATH, json=body(**{**SCRIPT, **changes}))["code"] == code
    assert scnet.jobs == []


def test_service_that_takes_commands_only(scnet, call):
    scnet.takes_script_files = False
    assert call("POST", PATH, json=body(**SCRIPT))["code"] == "10004"
    assert call("POST", PATH, json=body())["code"] == "0"


@pytest.mark.parametrize(("takes", "code"), [(True, "0"), (False, "10004")])
def test_members_that_are_no_text(scnet, call, takes, code):
    scnet.takes_extra_members = takes
    assert call("POST", PATH, json=body(advance=False))["code"] == code
    assert call("POST", PATH, json=body(GAP_NGPU=0))["code"] == "10004"


def test_cards_that_were_asked_for(scnet, call, history):
    call("POST", PATH, json=body(GAP_NGPU="4", GAP_NDCU="0"))
    call("POST", PATH, json=body(GAP_NGPU="", GAP_NDCU="1"))
    details = [call("GET", f"/jobs/{job.job_id}")["data"] for job in scnet.jobs]
    for kind, numbers in (("gpu", [8, 0]), ("dcu", [0, 2])):  # on two nodes
        assert [detail[f"{kind}NumReq"] for detail in details] == numbers
        assert [detail[f"{kind}NumUsed"] for detail in details] == numbers
    scnet.clock.advance(43)
    assert [record["jobGpuNum"] for record in history()["data"]["list"]] == [8, 0]


def test_nodes_that_were_asked_for(call, listed):
    call("POST", PATH, json=body(GAP_NNODE="", GAP_NODE_STRING="b08r1n14,b08r1n15"))
    assert listed()["data"]["list"][0]["nodeUsed"] == "b08r1n14,b08r1n15"


@pytest.mark.parametrize("direction", ["UP", "DOWN"])
def test_pages_of_a_log(scnet, call, direction):
    job = scnet.add_job()
    job.logs = {"stdout": "".join(f"{number}\n" for number in range(1500))}

    def page(number):
        form = {"dirPath": job.log_path("stdout"), "triggerNum": str(number), "rollDirection": direction}
        answer = call("POST", "/file/content", data=form)["data"]
        assert (answer["allLineTotal"], answer["totalTriggerTimes"]) == (1500, 2)
        return answer["data"].split()

    first, second = (0, 1000) if direction == "DOWN" else (500, 0)
    assert (page(1)[0], len(page(1))) == (str(first), 1000)
    assert (page(2)[0], len(page(2))) == (str(second), 500)
    assert page(0) == page(3) == []


@pytest.mark.parametrize("form", [{}, {"dirPath": "/a", "triggerNum": "x", "rollDirection": "UP"}])
def test_log_asked_for_in_a_wrong_way(scnet, call, form):
    assert call("POST", "/file/content", data=form)["code"] in ("10003", "10004")


def test_an_array(scnet, call):
    assert call("POST", PATH, json=body(GAP_MULTI_SUB="3"))["data"] == "101"
    assert [job.job_id for job in scnet.jobs] == ["101_1", "101_2", "101_3"]
    assert call("POST", PATH, json=body())["data"] == "102"


def test_members_may_start_one_after_the_other(scnet, call):
    scnet.array_pace, scnet.first_member = 100.0, 0
    call("POST", PATH, json=body(GAP_MULTI_SUB="2", GAP_CMD_FILE="sleep 50"))
    first, second = scnet.jobs
    assert (first.job_id, second.job_id) == ("101_0", "101_1")
    assert (first.state, second.state, second.started_at) == ("RUNNING", "PENDING", second.submitted_at + 100)
    assert second.ends_at == pytest.approx(second.submitted_at + 150)
    second.become("CANCELLED")
    assert second.started_at is None


@pytest.mark.parametrize(("is_plain", "job_id"), [(False, "101_1"), (True, "101")])
def test_an_array_of_one(scnet, call, is_plain, job_id):
    scnet.plain_single = is_plain
    assert call("POST", PATH, json=body(GAP_MULTI_SUB="1"))["data"] == "101"
    assert [job.job_id for job in scnet.jobs] == [job_id]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ([], "10004"),
        ({"mapAppJobInfo": INFO}, "10003"),
        ({"strJobManagerID": 1638523853}, "10003"),
        ({"strJobManagerID": 1638523853, "mapAppJobInfo": []}, "10004"),
        (body(1), "10004"),
        (body(True), "10004"),
        (body(""), "10003"),
        *((body(**{name: None}), "10003") for name in INFO if name not in ("GAP_NODE_STRING", "GAP_PPN")),
        *((body(**{name: ""}), "10003") for name in ("GAP_NNODE", "GAP_CMD_FILE")),
        (body(GAP_NNODE=2), "10004"),
        (body(GAP_NNODE="0"), "10004"),
        (body(GAP_PPN="many"), "10004"),
        (body(GAP_NGPU="many"), "10004"),
        (body(GAP_NDCU="-1"), "10004"),
        (body(GAP_NODE_STRING="n1"), "10004"),
        (body(GAP_SUBMIT_TYPE="file"), "10004"),
        (body(GAP_WALL_TIME="1 day"), "10004"),
        (body(GAP_QUEUE="nosuch"), "815007"),
    ],
)
def test_wrong_requests(scnet, call, content, code):
    assert call("POST", PATH, json=content)["code"] == code
    assert scnet.jobs == []


def test_the_reason_of_a_rejection(scnet, call):
    assert "nosuch" in call("POST", PATH, json=body(GAP_QUEUE="nosuch"))["msg"]
    scnet.queues.add("nosuch")
    assert call("POST", PATH, json=body(GAP_QUEUE="nosuch"))["code"] == "0"


@pytest.mark.parametrize(
    ("content_type", "text", "code"),
    [("application/json", "{", "10004"), ("text/plain", json.dumps(body()), "10003")],
)
def test_bodies_that_are_not_json(call, content_type, text, code):
    assert call("POST", PATH, data=text, headers={"Content-Type": content_type})["code"] == code


@pytest.mark.parametrize(
    ("command", "wall", "life"),
    [
        ("hostname", "00:01:00", (1, "COMPLETED", "0:0")),
        (";", "00:01:00", (1, "COMPLETED", "0:0")),
        ("sleep 3; sleep 4 && sleep 0.5", "00:01:00", (7.5, "COMPLETED", "0:0")),
        ("sleep 60", "00:01:00", (60, "COMPLETED", "0:0")),
        ("sleep 61\nexit 3", "00:01:00", (60, "TIMEOUT", "0:15")),
        ("sleep 5\nexit 3\n", "00:01:00", (5, "FAILED", "3:0")),
        ("exit 256", "00:01:00", (1, "COMPLETED", "0:0")),
        ("false", "00:01:00", (1, "FAILED", "1:0")),
        ("false\ntrue", "00:01:00", (1, "COMPLETED", "0:0")),
        ("sleep 5\r\ntrue", "00:01:00", (1, "FAILED", "127:0")),
        ("sleep 4000", "01:01:01", (3661, "TIMEOUT", "0:15")),
    ],
)
def test_lives(command, wall, life):
    found = life_of({"CMD_FILE": command, "WALL_TIME": wall, "WORK_DIR": "/public"})
    assert (found.runtime, found.outcome, found.exit_code) == life


@pytest.mark.parametrize("work_dir", ["~/run1", "/public/$USER"])
def test_a_directory_that_nobody_expands(scnet, call, work_dir):
    job = scnet.job(call("POST", PATH, json=body(GAP_WORK_DIR=work_dir))["data"])
    detail = call("GET", f"/jobs/{job.job_id}")["data"]
    assert (job.state, detail["jobInitAttr"]["ExitCode"]) == ("FAILED", "0:53")
