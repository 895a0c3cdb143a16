from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator, TaskGroup, task_group

from airflow_provider_scnet.exceptions import ScnetRequestError
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.operators.submitters import NEVER_RAN, Inquiry, Told, ask, shared_map_index

JOB: dict[str, Any] = {"command": "true", "job_queue": "debug", "work_dir": "/public/home/me", "walltime": "01:00:00"}


def submit(task_id: str = "submit", **other: Any) -> ScnetSubmitJobOperator:
    return ScnetSubmitJobOperator(task_id=task_id, **JOB, **other)


def delete(submitted_by: Any, **other: Any) -> ScnetDeleteJobsOperator:
    return ScnetDeleteJobsOperator(task_id="delete_jobs", submitted_by=submitted_by, **other)


def test_tasks_in_every_form() -> None:
    class Mine(ScnetSubmitJobOperator):
        pass

    with DAG("flow", schedule=None):
        plain, mine = submit("a"), Mine(task_id="d", **JOB)
        mapped = ScnetSubmitJobOperator.partial(task_id="b", **JOB).expand(nodes=[1, 2])
        forms = [plain, plain.output, mapped, mapped.output, "group.c", mine, "a"]
        assert delete(forms).submitted_by == ["a", "b", "group.c", "d"]
    assert delete(plain).submitted_by == ["a"]


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_neither_jobs_nor_tasks(nothing: Any) -> None:
    with pytest.raises(ValueError, match="jobs, submitted_by, job_tags: give at least one"):
        delete(nothing)


@pytest.mark.parametrize("strange", [5, {"a": 1}, [None], object()])
def test_what_is_no_task(strange: Any) -> None:
    with pytest.raises(ValueError, match=r"submitted_by=.*must be a task"):
        delete(strange)


def test_task_whose_jobs_carry_no_name() -> None:
    class Other(BaseOperator):
        def __init__(self, *, case: str = "", **kwargs: Any) -> None:
            super().__init__(**kwargs)

    with DAG("flow", schedule=None):
        mapped = Other.partial(task_id="other").expand(case=["a", "b"])
    for task in (Other(task_id="other"), mapped):
        with pytest.raises(ValueError, match=r"'other' is a Other.*hand over what 'other' returns as jobs"):
            delete(task)


def test_tasks_of_another_connection() -> None:
    with DAG("flow", schedule=None):
        mapped = ScnetSubmitJobOperator.partial(task_id="b", scnet_conn_id="b", **JOB).expand(nodes=[1, 2])
    for task in (submit(scnet_conn_id="b"), mapped):
        with pytest.raises(ValueError, match="scnet_conn_id='b', this task looks with 'scnet_default'"):
            delete(task)
        assert delete(task, scnet_conn_id="b").submitted_by


def test_tasks_of_another_scheduler() -> None:
    with pytest.raises(ValueError, match=r"scheduler_id='1', this task looks with '2'. Give each scheduler a task"):
        delete(submit(scheduler_id="1"), scheduler_id="2")
    assert delete(submit(scheduler_id="1")).submitted_by
    assert delete(submit(), scheduler_id="2").submitted_by


def test_mapped_task_with_the_usual_connection_is_another_one() -> None:
    with DAG("flow", schedule=None):
        mapped = ScnetSubmitJobOperator.partial(task_id="b", **JOB).expand(nodes=[1, 2])
    with pytest.raises(ValueError, match="scnet_conn_id='scnet_default', this task looks with 'b'"):
        delete(mapped, scnet_conn_id="b")


def test_what_only_the_run_knows_is_compared_then() -> None:
    assert delete(submit(scnet_conn_id="{{ params.conn }}")).submitted_by
    assert delete(submit(), scnet_conn_id="{{ params.conn }}").submitted_by


def instance(pushed: Any, states: list[str]) -> Any:
    def count(states_wanted: list[str] | None) -> int:
        return len([state for state in states if states_wanted is None or state in states_wanted])

    return SimpleNamespace(
        dag_id="flow",
        run_id="manual",
        xcom_pull=lambda task_ids, key: pushed,
        get_ti_count=lambda dag_id, task_ids, run_ids, states=None: count(states),
    )


@pytest.mark.parametrize(
    ("pushed", "states", "is_all"),
    [
        (["r1"], ["success"], True),
        (["r1", "r2"], ["success", "failed"], True),
        (["r1", None], ["success", "failed"], False),
        ([], ["failed"], False),
        (None, ["failed"], False),
        ([], ["upstream_failed"], True),
        (["r1"], ["success", *NEVER_RAN], True),
        (["r1"], ["success", "removed"], False),  # it may have run before the DAG was edited
        ([], [], False),  # no such task
    ],
)
def test_what_tasks_have_told(pushed: Any, states: list[str], is_all: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.__version__", "3.2.2")
    told = ask({"ti": instance(pushed, states)}, ["submit"], None)
    assert (told.refs, told.is_all) == ([ref for ref in pushed or [] if ref], is_all)


@pytest.mark.parametrize(("pushed", "states"), [(["r1"], ["failed", "skipped"]), ([], ["upstream_failed"])])
def test_instance_that_may_have_run_before_a_clear(pushed: list[str], states: list[str]) -> None:
    """What one has told before the clear must not make up for another one that told nothing since."""
    context: Any = {"ti": instance(pushed, states), "dag_run": SimpleNamespace(clear_number=1)}
    assert not ask(context, ["submit"], None).is_all
    assert ask({**context, "ti": instance(["r1", "r2"], ["success", "failed"])}, ["submit"], None).is_all


def test_instance_that_may_have_run_before_a_clear_that_airflow_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 3.2, it counts only clears that follow the end of a run; Airflow 2 tells whether there was a try."""
    context: Any = {"ti": instance([], ["upstream_failed"]), "dag_run": SimpleNamespace(clear_number=0)}
    monkeypatch.setattr("airflow.__version__", "3.1.8")
    assert not ask(context, ["submit"], None).is_all
    monkeypatch.setattr("airflow.__version__", "3.2.2")
    assert ask(context, ["submit"], None).is_all


@pytest.mark.parametrize(("tries", "is_all"), [(0, True), (1, False)])
def test_instance_of_airflow_2_that_has_run_before_a_clear(tries: int, is_all: bool) -> None:
    one = SimpleNamespace(task_id="submit", map_index=-1, state="upstream_failed", try_number=tries)
    context: Any = {"dag_run": SimpleNamespace(clear_number=0, get_task_instances=lambda: [one])}
    context["ti"] = AnswersOfAirflow2({})
    assert ask(context, ["submit"], None).is_all is is_all


def test_airflow_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    assert not ask({"ti": None}, ["submit"], None).is_all
    assert "Airflow does not say what submit told" in caplog.text


def test_task_that_the_dag_does_not_have() -> None:
    with DAG("flow", schedule=None):
        with TaskGroup("one"):
            submit()
        deleting = delete("submit")
    with pytest.raises(ScnetRequestError, match=r"DAG 'flow' has no such task. Do you mean 'one.submit'\?"):
        shared_map_index(deleting, deleting.submitted_by, -1)
    with pytest.raises(ScnetRequestError, match=r"no such task.$"):
        shared_map_index(deleting, ["sumbit"], -1)
    assert shared_map_index(deleting, ["one.submit"], -1) is None
    assert shared_map_index(submit(), ["any"], 3) is None  # in no DAG


def test_siblings_in_a_mapped_task_group_are_left_alone() -> None:
    with DAG("flow", schedule=None):
        before = submit("before")

        @task_group
        def case(command: str) -> None:
            inside = ScnetSubmitJobOperator(task_id="submit", **{**JOB, "command": command})
            delete([inside])

        case.expand(command=["true", "false"])
        deleting = before.dag.get_task("case.delete_jobs")
    assert shared_map_index(deleting, ["case.submit"], 2) == 2
    assert shared_map_index(deleting, ["before"], 2) is None
    assert shared_map_index(before, ["case.submit"], -1) is None


class Answers:
    """
    A task instance that asks Airflow 3 of its run.

    :param states: key, as Airflow spells it, -> state.
    :param told: task id -> what its instances have pushed, by key.
    """

    def __init__(
        self, states: dict[str, str], told: dict[str, dict[str, list[Any]]] | None = None, map_index: int = -1
    ) -> None:
        self.dag_id, self.run_id, self.map_index = "flow", "manual", map_index
        self._states, self._told = states, told or {}

    def xcom_pull(self, task_ids: list[str], key: str, map_indexes: Any = None) -> list[Any]:
        pushed = [one for task_id in task_ids for one in self._told.get(task_id, {}).get(key, [])]
        of = [one.get("map_index") if isinstance(one, dict) else None for one in pushed]
        return [one for one, index in zip(pushed, of, strict=True) if not map_indexes or index in (None, *map_indexes)]

    def get_task_states(self, dag_id: str, run_ids: list[str], task_ids: Any = None) -> dict[str, dict[str, str]]:
        meant = {key: state for key, state in self._states.items() if not task_ids or self._of(key) in task_ids}
        return {"manual": meant}

    def get_ti_count(
        self, dag_id: str, run_ids: list[str], task_ids: Any = None, map_index: Any = None, states: Any = None
    ) -> int:
        return sum(
            (task_ids is None or self._of(key) in task_ids)
            and (map_index is None or key.endswith(f"_{map_index}"))
            and (states is None or state in states)
            for key, state in self._states.items()
        )

    @staticmethod
    def _of(key: str) -> str:
        task_id, _, index = key.rpartition("_")
        return task_id if index.isdigit() else key


class AnswersOfAirflow2(Answers):
    """Likewise on Airflow 2, where the run tells of its instances."""

    get_task_states = property()  # type: ignore[assignment]
    get_ti_count = property()  # type: ignore[assignment]

    def get_task_instances(self) -> list[Any]:
        indexes = {key: -1 if self._of(key) == key else int(key.rpartition("_")[2]) for key in self._states}
        return [
            SimpleNamespace(task_id=self._of(key), map_index=indexes[key], state=state, try_number=0)
            for key, state in self._states.items()
        ]


def origin(scnet_conn_id: str = "scnet_default", map_index: int = -1, **parts: Any) -> dict[str, Any]:
    return {"scnet_conn_id": scnet_conn_id, "map_index": map_index, **parts}


def inquire(operator: Any, ti: Answers, clear_number: int = 0) -> Told:
    run = SimpleNamespace(clear_number=clear_number, get_task_instances=getattr(ti, "get_task_instances", None))
    context: Any = {"ti": ti, "dag_run": run}
    return Inquiry(operator, context).ask()


@pytest.fixture(params=[Answers, AnswersOfAirflow2])
def answers(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_task_given_as_text_that_submits_elsewhere() -> None:
    with DAG("flow", schedule=None):
        submit(scnet_conn_id="b")
        submit("other", scheduler_id="1")
        looks, elsewhere = (
            delete("submit"),
            ScnetDeleteJobsOperator(task_id="e", submitted_by="other", scheduler_id="2"),
        )
    with pytest.raises(ScnetRequestError, match=r"'submit' submits with scnet_conn_id='b', .*'scnet_default'"):
        inquire(looks, Answers({}))
    with pytest.raises(ScnetRequestError, match=r"'other' submits with scheduler_id='1', this task looks with '2'"):
        inquire(elsewhere, Answers({}))


@pytest.mark.parametrize(
    ("told", "states", "cleared", "doubt"),
    [
        ([origin(map_index=0), origin(map_index=1)], ["success", "failed"], 0, ""),
        ([origin(map_index=0)], ["success", "skipped"], 0, ""),
        ([origin(map_index=0)], ["success", "skipped"], 1, "1 of its instances may have jobs"),
        ([origin(map_index=0)], ["success", "removed"], 0, "1 of its instances may have jobs"),
        ([], ["failed", "failed"], 0, "'submit' gets its scnet_conn_id at run time.* 2 of its instances"),
        ([origin(map_index=0), origin("b", map_index=1)], ["success", "success"], 0, ScnetRequestError),
        ([origin("b", map_index=0)], ["failed", "failed"], 0, ScnetRequestError),
    ],
)
def test_connection_that_only_the_run_knows(
    answers: Any, told: list[Any], states: list[str], cleared: int, doubt: Any
) -> None:
    with DAG("flow", schedule=None):
        ScnetSubmitJobOperator.partial(task_id="submit", **JOB).expand(scnet_conn_id=["a", "b"])
        deleting = delete("submit")
    ti = answers({f"submit_{index}": state for index, state in enumerate(states)}, {"submit": {"job_origin": told}})
    if doubt is ScnetRequestError:
        with pytest.raises(ScnetRequestError, match="'submit' submits with scnet_conn_id='b', this task looks with"):
            inquire(deleting, ti, cleared)
        return
    said = inquire(deleting, ti, cleared).doubt
    assert bool(said) == bool(doubt)
    assert re.search(doubt, said)


def test_connection_that_was_edited_after_the_submission() -> None:
    with DAG("flow", schedule=None):
        deleting = delete(submit())
    ti = Answers({"submit": "success"}, {"submit": {"job_origin": [origin("old")]}})
    with pytest.raises(ScnetRequestError, match="scnet_conn_id='old', this task looks with 'scnet_default'"):
        inquire(deleting, ti)


def items(scnet_conn_id: bool = False) -> ScnetDeleteJobsOperator:
    """The task that deletes in a mapped task group."""
    with DAG("flow", schedule=None) as dag:

        @task_group
        def case(command: str) -> None:
            where = {"scnet_conn_id": command} if scnet_conn_id else {}
            delete(ScnetSubmitJobOperator(task_id="submit", **{**JOB, "command": command}, **where), **where)

        case.expand(command=["a", "b"])
    deleting: Any = dag.get_task("case.delete_jobs")
    deleting.scnet_conn_id = "a" if scnet_conn_id else deleting.scnet_conn_id  # rendered
    return deleting


def test_items_that_are_left_answer_for_those_that_are_not(answers: Any) -> None:
    states = {f"case.{name}_{index}": "success" for name in ("submit", "delete_jobs") for index in (0, 1)}
    told = {"case.submit": {"job": ["r1"], "job_origin": [origin(map_index=1)]}}
    whole = inquire(items(), answers(states, told, map_index=1))
    assert (whole.map_index, whole.items, whole.is_all, whole.gone, whole.doubt) == (1, 2, True, [], "")
    states |= {"case.submit_2": "removed", "case.delete_jobs_2": "removed"}
    shrunk = inquire(items(), answers(states, told, map_index=1))
    assert (shrunk.map_index, shrunk.items, shrunk.is_all, shrunk.doubt) == (1, 2, False, "")


@pytest.mark.parametrize(
    ("removed", "doubt"),
    [
        ([origin("b", map_index=2)], ""),  # another item looks there
        ([origin("c", map_index=2)], r"'case.submit\[2\]' submits with scnet_conn_id='c'"),
        ([], "'case.submit' gets its scnet_conn_id at run time.* 1 of its instances"),
    ],
)
def test_connection_of_an_item_that_is_gone(answers: Any, removed: list[Any], doubt: str) -> None:
    states = {f"case.{name}_{index}": "success" for name in ("submit", "delete_jobs") for index in (0, 1)}
    states |= {"case.submit_2": "removed", "case.delete_jobs_2": "removed"}
    told = {"case.submit": {"job_origin": [origin("a", map_index=0), origin("b", map_index=1), *removed]}}
    said = inquire(items(scnet_conn_id=True), answers(states, told, map_index=0)).doubt
    assert bool(said) == bool(doubt)
    assert re.search(doubt, said)


@pytest.mark.parametrize(
    ("deleted_by", "is_teardown", "is_meant"),
    [
        (["delete_jobs"], False, True),
        (["delete_jobs", "other"], True, True),
        (["renamed"], True, True),  # together with its teardown
        (["renamed"], False, False),
        (["other"], True, False),  # which is still there
        ([], True, False),  # nobody was to delete it
        (None, True, True),  # it has not told
        (None, False, False),
    ],
)
def test_task_that_is_gone(answers: Any, deleted_by: Any, is_teardown: bool, is_meant: bool) -> None:
    with DAG("flow", schedule=None):
        deleting = delete(submit())
        ScnetDeleteJobsOperator(task_id="other", submitted_by="submit")
    deleting.is_teardown = is_teardown
    pushed = {"job": ["r0"], "job_origin": [] if deleted_by is None else [origin(deleted_by=deleted_by)]}
    states = {"submit": "success", "delete_jobs": "running", "other": "success", "old": "removed"}
    told = inquire(deleting, answers(states, {"submit": {"job": ["r1"]}, "old": pushed}))
    assert told.gone == (["old"] if is_meant else [])
    # Any task may push an XCom called `job`. What has not told where it submits has submitted nothing, or is of 0.2.0.
    assert told.refs == (["r1", "r0"] if is_meant and deleted_by else ["r1"])
    assert (told.is_all, told.doubt) == (not is_meant, "")


def test_task_that_is_gone_and_submitted_elsewhere(answers: Any) -> None:
    with DAG("flow", schedule=None):
        deleting = delete(submit())
    told = {"submit": {"job": ["r1"]}, "old": {"job_origin": [origin("b", deleted_by=["delete_jobs"])]}}
    states = {"submit": "success", "delete_jobs": "running", "old": "removed"}
    assert "'old' submits with scnet_conn_id='b'" in inquire(deleting, answers(states, told)).doubt


def test_task_that_is_gone_and_submitted_where_another_teardown_looks(answers: Any) -> None:
    """It was renamed together with its teardown, and that of another Connection is none of its business."""
    with DAG("flow", schedule=None) as dag:
        deleting = delete(submit())
        of_b = submit("submit_b2", scnet_conn_id="b")
        looks_there = ScnetDeleteJobsOperator(task_id="delete_b2", submitted_by=of_b, scnet_conn_id="b")
    told = {"submit": {"job": ["r1"]}, "old": {"job": ["r0"], "job_origin": [origin("b", deleted_by=["delete_b"])]}}
    states = {"submit": "success", "delete_jobs": "running", "submit_b2": "success", "delete_b2": "running"}
    ti = answers({**states, "old": "removed"}, told)
    for task in dag.tasks:
        task.is_teardown = "delete" in task.task_id
    ours, theirs = inquire(deleting, ti), inquire(looks_there, ti)
    assert (ours.refs, ours.gone, ours.doubt) == (["r1"], [], "")
    assert (theirs.refs, theirs.gone, theirs.doubt) == (["r0"], ["old"], "")
    looks_there.is_teardown = False
    assert "submits with scnet_conn_id='b'" in inquire(deleting, ti).doubt


def test_task_that_is_gone_and_cannot_be_asked(answers: Any) -> None:
    """Its job may be one that nobody was to delete."""
    with DAG("flow", schedule=None):
        deleting = delete(submit())
    deleting.is_teardown = True

    class Away(answers):  # type: ignore[misc]
        def xcom_pull(self, task_ids: list[str], **other: Any) -> list[Any]:
            if "old" in task_ids:
                raise RuntimeError
            return super().xcom_pull(task_ids, **other)  # type: ignore[no-any-return]

    told = inquire(deleting, Away({"submit": "success", "old": "removed"}))
    assert not told.gone
    assert told.doubt == "Airflow does not say which tasks of this run its DAG has no more (RuntimeError)."


@pytest.mark.parametrize(
    ("states", "gone"),
    [
        ({"mapped_0": "success", "mapped_1": "success"}, []),
        ({"mapped_3": "removed"}, ["mapped_3"]),  # an item, or a task of that name
        ({"submit_1": "success"}, ["submit_1"]),  # a worker knows before the scheduler
        ({"case_1": "removed"}, ["case_1", "case"]),
        ({"case": "removed"}, ["case"]),
    ],
)
def test_names_that_airflow_3_spells_in_one(states: dict[str, str], gone: list[str]) -> None:
    with DAG("flow", schedule=None):
        deleting = delete(submit())
        ScnetSubmitJobOperator.partial(task_id="mapped", **JOB).expand(nodes=[1, 2])
    deleting.is_teardown = True
    assert inquire(deleting, Answers({"submit": "success", **states})).gone == gone


def test_part_of_a_dag_says_nothing_of_the_rest(answers: Any) -> None:
    with DAG("flow", schedule=None) as dag:
        deleting = delete(submit())
        deleting.is_teardown = True
    dag.partial = True
    assert not inquire(deleting, answers({"submit": "success", "old": "removed"})).gone


def test_airflow_that_does_not_say_what_exists() -> None:
    with DAG("flow", schedule=None):
        deleting = delete(submit())
    ti = Answers({"submit": "success"})
    ti.get_task_states = None  # type: ignore[assignment, method-assign]
    assert (
        "Airflow does not say which tasks of this run its DAG has no more (TypeError)." in inquire(deleting, ti).doubt
    )
