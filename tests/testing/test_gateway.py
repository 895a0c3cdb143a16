from __future__ import annotations

import pytest

SCHEDULER = "1638523853"
INVALID = {"msg": "auth_fail", "code": "10008", "data": "token is invalid"}


@pytest.mark.parametrize(
    "token",
    [
        lambda scnet: "",
        lambda scnet: "nonsense",
        lambda scnet: scnet.mint_token(lifetime=-1),
        lambda scnet: scnet.mint_token(clusterId="11113"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/cluster"),
        ("GET", "/jobs"),
        ("GET", "/jobs/1"),
        ("GET", "/historyjobs"),
        ("GET", "/historyjobs/1638523853/1"),
        ("GET", "/queuenames/users/acexample01"),
        ("GET", "/userquotas/queues"),
        ("GET", "/userquotas/userlimit"),
        ("GET", "/view/jobs/state"),
        ("GET", "/view/queue/jobs"),
        ("GET", "/view/cpucore/state"),
        ("GET", "/view/walltime/users/acexample01"),
        ("GET", "/parastor/quota/usernames/acexample01"),
        ("POST", "/file/content"),
        ("DELETE", "/jobs"),
        ("POST", "/apptemplates/BASIC/BASE/job"),
    ],
)
def test_every_call_checks_the_token(scnet, call, method, path, token):
    assert call(method, path, token=token(scnet)) == INVALID


def test_a_revoked_token(scnet, call):
    old = scnet.token
    scnet.revoke(old)
    assert call("GET", "/cluster", token=old) == INVALID
    assert call("GET", "/cluster")["code"] == "0"


def test_schedulers(call):
    first, second = call("GET", "/cluster")["data"]
    assert first == {
        "JobManagerType": "SLURM",
        "JobManagerAddr": "10.0.0.1",
        "id": 1638523853,
        "text": "Cluster",
        "JobManagerPort": "9091",
    }
    assert second["id"] == 2000000000


def test_the_detail_takes_the_first_job_that_is_shown(scnet, call):
    scnet.add_job("COMPLETED", job_id=7, ended_ago=301)
    scnet.add_job("PENDING", job_id=7, scheduler_id="2000000000")
    assert call("GET", "/jobs/7")["data"]["jobInitAttr"]["JobState"] == "PENDING"


@pytest.fixture
def various(scnet):
    scnet.add_job(name="a")
    scnet.add_job("PENDING", user="bob", queue="normal")
    scnet.add_job("FAILED", ended_ago=100)
    scnet.add_job("COMPLETED", ended_ago=301)
    scnet.add_job(scheduler_id="2000000000", job_id="5_1")


@pytest.mark.usefixtures("various")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "101 102 103"),
        ({"strJobOwner": "", "strJobStat": ""}, "101 102 103"),
        ({"strJobOwner": "bob"}, "102"),
        ({"strJobName": "a"}, "101"),
        ({"strJobId": "103"}, "103"),
        ({"strJobId": "104"}, ""),
        ({"strJobId": "5_1"}, ""),
        ({"strClusterIDList": "2000000000"}, "5_1"),
        ({"strQueueName": "normal"}, "102"),
        ({"strJobStat": "statC"}, "103"),
        ({"strJobStat": "statQ"}, "102"),
    ],
)
def test_the_list(listed, ids, query, expected):
    answer = listed(**query)
    assert ids(answer) == expected.split()
    assert answer["data"]["total"] == len(expected.split())


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"strClusterIDList": None}, "10003"),
        ({"strClusterIDList": ""}, "10003"),
        ({"strClusterIDList": "11112"}, "10004"),
        ({"start": "-1"}, "10004"),
        ({"limit": "0"}, "10004"),
        ({"limit": "many"}, "10004"),
    ],
)
def test_wrong_list_requests(listed, query, code):
    assert listed(**query)["code"] == code


def test_pages(scnet, listed, ids):
    for _ in range(30):
        scnet.add_job()
    assert len(ids(listed())) == 25
    assert ids(listed(start=28, limit=5)) == ["129", "130"]
    assert listed(start=30)["data"] == {"total": 30, "list": []}
    scnet.page_cap, scnet.total_lie = 10, lambda total: total - 1
    assert len(ids(listed(limit=1000))) == 10
    assert listed()["data"]["total"] == 29


def test_names_by_a_part_of_them(scnet, listed, ids):
    for name in ("demo_1", "demo_2", "other"):
        scnet.add_job(name=name)
    assert ids(listed(strJobName="demo")) == []
    scnet.name_filter = "fuzzy"
    assert ids(listed(strJobName="demo")) == ["101", "102"]


def test_queues(scnet, call):
    scnet.queues = {"normal", "debug"}
    queues = call("GET", "/queuenames/users/acexample01", params={"strJobManagerID": SCHEDULER})["data"]
    assert [(queue["id"], queue["text"], queue["queueName"]) for queue in queues] == [("debug",) * 3, ("normal",) * 3]
    assert call("GET", "/queuenames/users/alice", params={"strJobManagerID": SCHEDULER})["code"] == "10004"


@pytest.mark.parametrize("path", ["/queuenames/users/acexample01", "/userquotas/queues", "/userquotas/userlimit"])
def test_figures_of_a_scheduler(call, path):
    assert call("GET", path, params={"strJobManagerID": SCHEDULER})["code"] == "0"
    assert call("GET", path)["code"] == "10003"
    assert call("GET", path, params={"strJobManagerID": "1"})["code"] == "10004"


def test_statistics_count_what_has_not_ended(scnet, call):
    for state in ("RUNNING", "RUNNING", "PENDING", "SUSPENDED", "COMPLETING", "FAILED"):
        scnet.add_job(state)
    scnet.add_job(scheduler_id="2000000000")
    scnet.add_job(user="bob")

    def counted(user):
        counts = call("GET", "/view/jobs/state", params={"userName": user})["data"]
        return {record["name"].removeprefix("jobview_status_"): record["y"] for record in counts}

    assert counted("acexample01") == {"run": 3, "queue": 1, "reserve": 0, "hung": 1, "other": 1}
    assert counted("bob") == {"run": 1, "queue": 0, "reserve": 0, "hung": 0, "other": 0}
    assert call("GET", "/view/jobs/state")["code"] == "10003"


@pytest.mark.parametrize("path", ["/queue/jobs", "/cpucore/state", "/walltime/users/acexample01"])
def test_statistics_of_which_nothing_is_recorded_are_for_a_test_to_give(scnet, call, path):
    assert call("GET", f"/view{path}") == {"code": "0", "msg": "success", "data": None}
    scnet.fail("*", code="0", data=[{"name": "x", "y": 1}])
    assert call("GET", f"/view{path}")["data"] == [{"name": "x", "y": 1}]


def test_storage(call):
    (quota,) = call("GET", "/parastor/quota/usernames/acexample01")["data"]
    assert (quota["username"], quota["path"]) == ("acexample01", "/public/home/acexample01")
    assert call("GET", "/parastor/quota/usernames/alice")["code"] == "10004"


def test_oddities(scnet, listed, history, call, ids):
    scnet.null_empty_lists = scnet.numeric_ids = scnet.raw_state_in_lists = True
    assert (listed()["data"], history()["data"]) == (None, None)
    for job_id in (7, "5_1"):
        scnet.add_job("FAILED", job_id=job_id)
    assert ids(listed()) == ids(history()) == [7, "5_1"]
    assert call("GET", "/jobs/7")["data"]["jobId"] == 7
    assert listed()["data"]["list"][0]["jobInitAttr"]["JobState"] == "FAILED"


@pytest.mark.usefixtures("various")
@pytest.mark.parametrize(
    ("job_id", "state"),
    [
        ("101", "RUNNING"),
        ("102", "PENDING"),
        ("103", "FAILED"),
        ("104", None),
        ("5_1", "RUNNING"),
        ("5%5F1", "RUNNING"),
        ("999", None),
        ("history", None),
    ],
)
def test_the_detail(call, job_id, state):
    answer = call("GET", f"/jobs/{job_id}")
    assert (answer["code"], answer["msg"]) == ("0", "success")
    assert (answer["data"] and answer["data"]["jobInitAttr"]["JobState"]) == state


def test_deleting(scnet, delete):
    one, two = scnet.add_job(), scnet.add_job(scheduler_id="2000000000")
    three, other = scnet.add_job(), scnet.add_job()
    assert delete(one.ref, two.ref, three.ref, "") == {
        "code": "0",
        "msg": "success",
        "data": {
            SCHEDULER: f"jobManagerId : {SCHEDULER}, delete the jobs [acexample01:101:,acexample01:103:] successfully!",
            "2000000000": "jobManagerId : 2000000000, delete the jobs [acexample01:102:] successfully!",
        },
    }
    assert [job.state for job in scnet.jobs] == ["CANCELLED", "CANCELLED", "CANCELLED", "RUNNING"]
    assert (one.deletes, other.deletes) == (1, 0)
    delete(one.ref)
    assert one.deletes == 2


def test_a_slow_delete(scnet, delete, listed):
    job = scnet.add_job()
    scnet.cancel_delay = 60
    delete(job.ref)
    assert listed()["data"]["list"][0]["jobStatus"] == "statE"
    scnet.clock.advance(61)
    assert listed()["data"]["list"][0]["jobStatus"] == "statC"


@pytest.mark.parametrize(
    "ref", [f"{SCHEDULER},acexample01:999:", f"{SCHEDULER},bob:101:", f"{SCHEDULER},acexample01:102:"]
)
def test_jobs_that_cannot_be_deleted_are_answered_like_success(scnet, delete, ref):
    scnet.add_job(user="bob")
    scnet.add_job("COMPLETED")
    answer = delete(ref)
    assert answer["code"] == "0"
    assert f"[{ref.partition(',')[2]}] successfully!" in answer["data"][SCHEDULER]
    assert [job.state for job in scnet.jobs] == ["RUNNING", "COMPLETED"]


def test_an_ignored_delete(scnet, delete):
    job = scnet.add_job()
    job.ignores_delete = 1
    assert "successfully" in delete(job.ref)["data"][SCHEDULER]
    assert job.state == "RUNNING"
    delete(job.ref)
    assert (job.state, job.deletes) == ("CANCELLED", 2)


@pytest.fixture
def refused(scnet):
    jobs = [scnet.add_job(), scnet.add_job(), scnet.add_job(scheduler_id="2000000000")]
    jobs[1].refused = jobs[2].refused = ("815005", "scheduler silent")
    return [job.ref for job in jobs]


def test_a_refused_job_fails_the_whole_batch(scnet, delete, refused):
    assert delete(*refused) == {"code": "815005", "msg": "scheduler silent", "data": None}
    assert all(job.active and job.deletes == 1 for job in scnet.jobs)


def test_a_batch_that_fails_in_part(scnet, delete, refused):
    scnet.refusal = "partial"
    assert delete(*refused)["data"] == {
        SCHEDULER: f"jobManagerId : {SCHEDULER}, delete the jobs [acexample01:101:] successfully! 1 failed!",
        "2000000000": "jobManagerId : 2000000000, 1 failed!",
    }
    assert [job.active for job in scnet.jobs] == [False, True, True]


@pytest.mark.parametrize(
    ("method", "jobs", "code"),
    [
        (None, f"{SCHEDULER},u:1:", "10003"),
        ("5", None, "10003"),
        ("5", "", "10003"),
        ("55", f"{SCHEDULER},u:1:", "10004"),
        (["5", "5"], f"{SCHEDULER},u:1:", "10004"),
        ("5", f"{SCHEDULER},u:1:;1,u:1:", "10004"),
        *(
            ("5", text.replace("S", SCHEDULER), "10004")
            for text in ["S,u:1", "S:u:1:", "S,u:1:;;", ";", "S,u:1:,S,u:2:", "S,u: 1:", "x,u:1:", "S,:1:"]
        ),
    ],
)
def test_wrong_delete_requests(scnet, call, method, jobs, code):
    job = scnet.add_job(user="u", job_id=1)
    form = {"jobMethod": method, "strJobInfoMap": jobs}
    assert call("DELETE", "/jobs", data=form)["code"] == code
    assert (job.deletes, job.state) == (0, "RUNNING")


def test_only_a_form_body_is_read(scnet, call):
    form = {"jobMethod": "5", "strJobInfoMap": scnet.add_job().ref}
    for options in ({"params": form}, {"json": form}, {"data": "jobMethod=5"}):
        assert call("DELETE", "/jobs", **options)["code"] == "10003"


def test_delete_by_query_string(scnet, call):
    job, other = scnet.add_job(), scnet.add_job()
    form = {"jobMethod": "5", "strJobInfoMap": job.ref}
    scnet.delete_by_query = True
    assert call("DELETE", "/jobs", params=form, data=form)["code"] == "10004"
    assert call("DELETE", "/jobs", params={"jobMethod": "5"}, data={"strJobInfoMap": job.ref})["code"] == "10003"
    assert job.deletes == 0
    assert call("DELETE", "/jobs", params=form)["code"] == "0"
    assert call("DELETE", "/jobs", data={**form, "strJobInfoMap": other.ref})["code"] == "0"
    assert [job.state for job in scnet.jobs] == ["CANCELLED", "CANCELLED"]
    scnet.delete_by_query = False
    assert call("DELETE", "/jobs", params=form, data=form)["code"] == "10004"


def test_a_thousand_jobs(scnet, delete, listed, ids):
    refs = [scnet.add_job().ref for _ in range(1000)]
    assert delete(*refs)["code"] == "0"
    assert scnet.active_jobs == []
    assert len(ids(listed(limit=1000))) == 1000


def test_an_array_is_deleted_with_its_members(scnet, delete):
    members = [scnet.add_job(job_id=job_id) for job_id in ("5_1", "5_[2-9,11%4]")]
    others = [
        scnet.add_job(job_id="51"),
        scnet.add_job(job_id="5_12", user="bob"),
        scnet.add_job(job_id="5_1", scheduler_id="2000000000"),
    ]
    assert "[acexample01:5:] successfully!" in delete(f"{SCHEDULER},acexample01:5:")["data"][SCHEDULER]
    assert [(job.state, job.deletes) for job in members] == [("CANCELLED", 1)] * 2
    assert [(job.state, job.deletes) for job in others] == [("RUNNING", 0)] * 3


def test_members_are_deleted_one_by_one(scnet, delete):
    one, some = (scnet.add_job(job_id=job_id) for job_id in ("5_1", "5_[2-9,11%4]"))
    delete(one.ref)
    assert [one.active, some.active] == [False, True]
    # No job of its own yet: answered with success like any unknown job.
    assert "successfully" in delete(f"{SCHEDULER},acexample01:5_7:")["data"][SCHEDULER]
    assert (some.active, some.deletes) == (True, 0)
    delete(some.ref)
    assert not some.active


def test_members_in_brackets_are_deleted(scnet, delete):
    one, some, other = (scnet.add_job(job_id=job_id) for job_id in ("5_3", "5_[4-9,11%4]", "5_12"))
    delete(f"{SCHEDULER},acexample01:5_[2-9,11]:")
    assert [one.active, some.active, other.active] == [False, False, True]


@pytest.mark.parametrize("job_id", ["5_[2-9%4]", "5_[2,...]"])
def test_what_a_cancel_command_cannot_read_keeps_it_from_all_the_rest(scnet, delete, job_id):
    jobs = [scnet.add_job(job_id=job_id) for job_id in ("5_[2-9%4]", "6")]
    assert delete(f"{SCHEDULER},acexample01:{job_id}:", jobs[1].ref)["code"] == "815007"
    assert [job.active for job in jobs] == [True, True]


def test_a_refused_member_refuses_its_array(scnet, delete):
    scnet.refusal = "partial"
    jobs = [scnet.add_job(job_id=job_id) for job_id in ("5_1", "5_2", "6")]
    jobs[1].refused = ("10009", "no permission")
    assert (
        "[acexample01:6:] successfully! 1 failed!"
        in delete(f"{SCHEDULER},acexample01:5:", jobs[2].ref)["data"][SCHEDULER]
    )
    assert [job.active for job in jobs] == [True, True, False]
