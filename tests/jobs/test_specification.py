from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_scnet.exceptions import ScnetJobSpecificationError
from airflow_provider_scnet.jobs.specification import JobSpecification
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import SCHEDULER, client_of

NEEDED: dict[str, Any] = {
    "command": "sleep 5",
    "job_queue": "debug",
    "work_dir": "/public/home/acexample01/run1",
    "walltime": "02:00:00",
}


def members(**changes: Any) -> dict[str, str]:
    return JobSpecification(**{**NEEDED, **changes}).as_members("flow")


def test_least_that_is_needed() -> None:
    assert members() == {
        "GAP_CMD_FILE": "sleep 5",
        "GAP_NNODE": "1",
        "GAP_NODE_STRING": "",
        "GAP_SUBMIT_TYPE": "cmd",
        "GAP_JOB_NAME": "flow",
        "GAP_WORK_DIR": "/public/home/acexample01/run1",
        "GAP_QUEUE": "debug",
        "GAP_WALL_TIME": "02:00:00",
        "GAP_APPNAME": "BASE",
        "GAP_STD_OUT_FILE": "/public/home/acexample01/run1/std.out.%j",
        "GAP_STD_ERR_FILE": "/public/home/acexample01/run1/std.err.%j",
    }


@pytest.mark.parametrize(
    ("argument", "value", "member", "text"),
    [
        ("command", ["module load mpi", "mpirun ./solve"], "GAP_CMD_FILE", "module load mpi\nmpirun ./solve"),
        ("command", "cd run\r\n./solve\r", "GAP_CMD_FILE", "cd run\n./solve\n"),
        ("nodes", 4, "GAP_NNODE", "4"),
        ("nodes", "4", "GAP_NNODE", "4"),
        ("node_list", "b08r1n14,b08r1n15", "GAP_NODE_STRING", "b08r1n14,b08r1n15"),
        ("node_list", "b08r1n14", "GAP_NNODE", ""),
        ("cores_per_node", 32, "GAP_PPN", "32"),
        ("cores", 128, "GAP_NPROC", "128"),
        ("gpus_per_node", 2, "GAP_NGPU", "2"),
        ("dcus_per_node", " 4 ", "GAP_NDCU", "4"),
        ("memory_per_node", "4GB", "GAP_JOB_MEM", "4GB"),
        ("memory_per_node", "512 m", "GAP_JOB_MEM", "512MB"),
        ("memory_per_node", "4g", "GAP_JOB_MEM", "4GB"),
        ("exclusive", True, "GAP_EXCLUSIVE", "1"),
        ("array_size", 50, "GAP_MULTI_SUB", "50"),
        ("walltime", timedelta(days=1, hours=12), "GAP_WALL_TIME", "36:00:00"),
        ("walltime", timedelta(seconds=59.5), "GAP_WALL_TIME", "00:01:00"),
        ("walltime", "1-12:00:00", "GAP_WALL_TIME", "36:00:00"),
        ("walltime", "100:00:00", "GAP_WALL_TIME", "100:00:00"),
        ("walltime", "1:5:0", "GAP_WALL_TIME", "01:05:00"),
        ("work_dir", "/public/home/me/", "GAP_WORK_DIR", "/public/home/me"),
        ("work_dir", "/public/home/me/", "GAP_STD_OUT_FILE", "/public/home/me/std.out.%j"),
        ("stdout", "/public/logs/out.%j", "GAP_STD_OUT_FILE", "/public/logs/out.%j"),
        ("stderr", "/public/logs/err.%j", "GAP_STD_ERR_FILE", "/public/logs/err.%j"),
        ("app_name", "LAMMPS", "GAP_APPNAME", "LAMMPS"),
        ("scheduler_options", ["--constraint=x", "--nice"], "GAP_SCHEDULER_OPT_WEB", "--constraint=x\n--nice"),
    ],
)
def test_argument_as_a_member(argument: str, value: Any, member: str, text: str) -> None:
    assert members(**{argument: value})[member] == text


@pytest.mark.parametrize("nothing", [None, "", "None"])
@pytest.mark.parametrize("argument", ["nodes", "node_list", "cores", "gpus_per_node", "memory_per_node", "stdout"])
def test_optional_argument_that_a_template_leaves_empty(argument: str, nothing: Any) -> None:
    assert members(**{argument: nothing}) == members()


@pytest.mark.parametrize(
    ("argument", "value", "remedy"),
    [
        ("command", "", "cannot do without"),
        ("command", " \n", "cannot do without"),
        ("command", [], "no text"),
        ("command", [1], "list of lines"),
        ("command", "sleep 5\0", "NUL"),
        ("command", "#!/bin/bash\nsleep 5", "leave out the `#!` line"),
        ("command", "\n#!/usr/bin/env python3\nprint()", "leave out the `#!` line"),
        ("command", "sleep 5\n  #SBATCH -p debug", "`scheduler_options` for what has none"),
        ("job_queue", None, "cannot do without"),
        ("job_queue", "two words", "one word"),
        ("job_queue", 5, "one word"),
        ("work_dir", "run1", "absolute path"),
        ("work_dir", "~/run1", "absolute path"),
        ("work_dir", "/public/$USER/run1", "Nothing expands"),
        ("stdout", "out.txt", "absolute path"),
        ("stderr", "$HOME/err.txt", "absolute path"),
        ("walltime", "2h", "HH:MM:SS"),
        ("walltime", "00:00:00", "positive"),
        ("walltime", "01:60:00", "HH:MM:SS"),
        ("walltime", timedelta(0), "positive"),
        ("walltime", 3600, "timedelta"),
        ("nodes", 0, "1 or more"),
        ("nodes", -1, "1 or more"),
        ("nodes", 1.5, "whole number"),
        ("nodes", True, "whole number"),
        ("cores", "many", "whole number"),
        ("array_size", 0, "1 or more"),
        ("memory_per_node", "4", "its unit"),
        ("memory_per_node", 4, "its unit"),
        ("memory_per_node", "4TB", "4GB or 512MB"),
        ("exclusive", "maybe", "True or False"),
        ("app_name", "", "cannot do without"),
    ],
)
def test_argument_that_cannot_be(argument: str, value: Any, remedy: str) -> None:
    with pytest.raises(ScnetJobSpecificationError, match=rf"^{argument}(=|: ).*{re.escape(remedy)}"):
        members(**{argument: value})
    with pytest.raises(ValueError, match=f"^{argument}(=|: )"):
        JobSpecification.check_parsed({**NEEDED, argument: value})


@pytest.mark.parametrize(("one", "other"), [("nodes", "node_list"), ("cores", "cores_per_node")])
def test_arguments_that_exclude_each_other(one: str, other: str) -> None:
    arguments = {one: "4", other: "4"}
    for check in (lambda: members(**arguments), lambda: JobSpecification.check_parsed({**NEEDED, **arguments})):
        with pytest.raises(ScnetJobSpecificationError, match=f"^{one}='4' and {other}='4': give one of the two"):
            check()


@pytest.mark.parametrize("unknown", ["{{ params.nodes }}", "{% include 'run.sh' %}", ["{{ x }}", "#SBATCH"]])
@pytest.mark.parametrize("argument", ["command", "nodes", "walltime"])
def test_template_is_checked_when_its_value_is_known(argument: str, unknown: Any) -> None:
    JobSpecification.check_parsed({**NEEDED, "node_list": None, argument: unknown})


@pytest.mark.parametrize("argument", ["command", "scheduler_options"])
def test_script_is_not_shown(argument: str) -> None:
    with pytest.raises(ScnetJobSpecificationError) as failure:
        members(**{argument: "#!/bin/sh\nexport TOKEN=s3cr3t\0"})
    assert "s3cr3t" not in str(failure.value)


@given(st.integers(1, 10**6))
def test_walltime_keeps_every_second(seconds: int) -> None:
    hours, minutes, rest = map(int, members(walltime=timedelta(seconds=seconds))["GAP_WALL_TIME"].split(":"))
    assert (hours * 60 + minutes) * 60 + rest == seconds


def test_service_takes_all_of_it(scnet: ScnetEmulator) -> None:
    full = members(
        cores_per_node=4,
        gpus_per_node=1,
        dcus_per_node=1,
        memory_per_node="4GB",
        exclusive=True,
        scheduler_options="-x",
    )
    job_id = client_of(scnet).submit_job(SCHEDULER, full)
    assert scnet.job(job_id).name == "flow"
