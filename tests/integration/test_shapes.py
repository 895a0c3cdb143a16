from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_provider_scnet.testing import ScnetEmulator
from tests.integration.conftest import Run

FIRST, SECOND = "1638523853,acexample01:101:", "1638523853,acexample01:102:"

SHAPES = {
    "xcomarg_list": [FIRST, SECOND],
    "xcomarg_value": [FIRST],
    "xcomarg_number": [FIRST],
    "xcomarg_mapping": [SECOND],
    "xcomarg_references": [FIRST, SECOND],
    "list_of_xcomargs": [FIRST, SECOND],
    "list_of_templates": [FIRST, SECOND],
    "template_of_list": [FIRST, SECOND],
    "template_of_mapping": [SECOND],
    "template_joined": [FIRST, SECOND],
    "template_json": [FIRST, SECOND],
    "mapped_xcomarg": [FIRST, SECOND],
    "mapped_template_list": [FIRST, SECOND],
    "missing_xcom": [],
    "no_such_task": [],
    "literal_wire": [FIRST, SECOND],
    "other_fields_templated": [FIRST],
}
MEMBERS = ["1638523853,acexample01:5_1:", "1638523853,acexample01:5_2:"]
NATIVE_SHAPES = {
    "native_value": [FIRST],
    "native_list": [FIRST, SECOND],
    "native_member": MEMBERS[:1],
    "native_members": MEMBERS,
    "native_told_member": MEMBERS[:1],
    "native_told_in_a_list": MEMBERS[:1],
    "native_told_in_text": MEMBERS[::-1],
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[ScnetEmulator]:
    with ScnetEmulator() as scnet, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet.connection())
        patch.setenv("AIRFLOW_CONN_SCNET_OTHER", scnet.connection())
        scnet.add_job(job_id="101")
        scnet.add_job(job_id="102")
        scnet.add_job(job_id="5_1")
        scnet.add_job(job_id="5_2")
        scnet.add_job(job_id="51")  # which is what Python makes of `5_1`
        yield scnet


@pytest.fixture(scope="module")
def shapes(emulator: ScnetEmulator, run_dag: Callable[..., Run]) -> Run:
    return run_dag("shapes")


@pytest.fixture(scope="module")
def native_shapes(emulator: ScnetEmulator, run_dag: Callable[..., Run]) -> Run:
    return run_dag("native_shapes")


def check(run: Run, shape: str, refs: list[str]) -> None:
    assert run.tasks[shape] == "success"
    assert run.returned[shape] == {"deleted": refs, "gone": [], "accepted": []}


@pytest.mark.parametrize(("shape", "refs"), SHAPES.items(), ids=SHAPES)
def test_shape(shapes: Run, shape: str, refs: list[str]) -> None:
    check(shapes, shape, refs)


@pytest.mark.parametrize(("shape", "refs"), NATIVE_SHAPES.items(), ids=NATIVE_SHAPES)
def test_native_shape(native_shapes: Run, shape: str, refs: list[str]) -> None:
    check(native_shapes, shape, refs)


def test_mapped_upstream_through_jinja_is_whole_or_refused(shapes: Run) -> None:
    """Airflow 2 renders the name of a lazy sequence instead of its content: that must not pass for a job."""
    if shapes.tasks["mapped_template"] == "success":
        check(shapes, "mapped_template", [FIRST, SECOND])
    else:
        assert shapes.tasks["mapped_template"] == "failed"


def test_broken_reference_fails_before_any_request(shapes: Run, emulator: ScnetEmulator) -> None:
    assert shapes.tasks["broken"] == "failed"
    assert not any("10 2" in request.body or "10+2" in request.body for request in emulator.requests)


def test_every_shape_of_the_dag_is_checked(shapes: Run, native_shapes: Run) -> None:
    upstream = {"ids", "one", "number", "record", "references", "nothing", "mapped", "member"}
    assert set(shapes.tasks) - upstream == {*SHAPES, "mapped_template", "broken"}
    assert set(native_shapes.tasks) - upstream == set(NATIVE_SHAPES)


def test_what_is_written_is_what_is_deleted(native_shapes: Run, emulator: ScnetEmulator) -> None:
    assert [job.job_id for job in emulator.active_jobs] == ["51"]
