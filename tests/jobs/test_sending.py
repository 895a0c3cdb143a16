"""What SCNet refuses keeps nobody else's job running, and what means the account stops everything."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetAccountError, ScnetError
from airflow_provider_scnet.jobs.progress import Progress
from airflow_provider_scnet.jobs.sending import (
    EFFECT_UNKNOWN,
    FAILURES_IN_A_ROW,
    REFUSED_ALONE,
    SPLITS_IN_A_ROW,
    Sender,
)
from airflow_provider_scnet.jobs.stages import Stage
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.job import Job
from tests.conftest import SECOND_SCHEDULER

Track = Callable[..., list[Progress]]


@pytest.fixture
def sender(client: ScnetClient) -> Sender:
    return Sender(client.tried_once(), logger=logging.getLogger("airflow_provider_scnet.test"))


def tracked(jobs: list[Job], batch_size: int = 50) -> list[Progress]:
    return [Progress(JobRef(job.scheduler_id, job.user, job.job_id), batch_size) for job in jobs]


def sent(scnet: ScnetEmulator) -> list[int]:
    return [r.form["strJobInfoMap"].count(",") for r in scnet.requests if r.call == "delete"]


def test_batches_by_scheduler(scnet: ScnetEmulator, sender: Sender) -> None:
    jobs = [scnet.add_job() for _ in range(70)] + [scnet.add_job(scheduler_id=SECOND_SCHEDULER)]
    progress = tracked(jobs)
    assert not sender.send(progress)
    assert sent(scnet) == [50, 20, 1]
    assert {job.stage for job in progress} == {Stage.CONFIRMED}


def test_members_in_brackets_share_no_request(scnet: ScnetEmulator, sender: Sender) -> None:
    """A cancel command that cannot read one of its ids leaves all the others running."""
    jobs = [scnet.add_job(job_id=job_id) for job_id in ("5_[2-9,11%4]", "6", "7_1", "8_[1-2]", "9", "10_[3]")]
    progress = tracked(jobs)
    assert not sender.send(progress)
    ids = [re.findall(r":(.*?):", r.form["strJobInfoMap"]) for r in scnet.requests if r.call == "delete"]
    assert sorted(ids) == [["10_[3]"], ["5_[2-9,11]"], ["6", "7_1"], ["8_[1-2]"], ["9"]]
    assert {job.stage for job in progress} == {Stage.CONFIRMED}
    assert not scnet.active_jobs


def test_refused_batch_waits_for_a_look_before_it_is_split(scnet: ScnetEmulator, sender: Sender) -> None:
    jobs = [scnet.add_job() for _ in range(8)]
    jobs[2].refused = ("10004", "param_invalid")
    progress = tracked(jobs)
    rounds = 0
    while sender.send([job for job in progress if job.stage is Stage.DUE]):
        rounds += 1
    assert rounds == 3
    assert sent(scnet) == [8, 4, 4, 2, 2, 1, 1]
    assert scnet.active_jobs == [jobs[2]]


@pytest.mark.parametrize("code", ["10004", "10001", "77777", "10007", "10003"])
def test_in_the_last_round_everything_is_split_at_once(scnet: ScnetEmulator, sender: Sender, code: str) -> None:
    jobs = [scnet.add_job() for _ in range(8)]
    jobs[2].refused = (code, "refused")
    assert not sender.send(tracked(jobs), is_last=True)
    assert scnet.active_jobs == [jobs[2]]


@pytest.mark.usefixtures("without_gc")
def test_nothing_of_one_scheduler_keeps_anothers_deletes_from_being_sent(scnet: ScnetEmulator, sender: Sender) -> None:
    ours, other = scnet.add_job(), scnet.add_job(scheduler_id=SECOND_SCHEDULER)
    scnet.fail("delete", body="[" * 100_000, when=lambda r: SECOND_SCHEDULER not in r.body)
    sender.send(tracked([ours, other]))
    assert scnet.active_jobs == [ours]


def test_service_that_is_down_is_not_flooded(scnet: ScnetEmulator, sender: Sender) -> None:
    scnet.fail("delete", status=503, times=None)
    sender.send(tracked([scnet.add_job() for _ in range(1000)]))
    assert scnet.calls["delete"] == FAILURES_IN_A_ROW


def test_service_that_refuses_whatever_it_is_asked_is_not_flooded(scnet: ScnetEmulator, sender: Sender) -> None:
    scnet.fail("delete", code="10001", times=None)
    sender.send(tracked([scnet.add_job() for _ in range(1000)]))
    assert scnet.calls["delete"] <= 25


def test_pause_that_the_service_asks_for(scnet: ScnetEmulator, sender: Sender) -> None:
    scnet.fail("delete", status=503, headers={"Retry-After": "17"})
    jobs = tracked([scnet.add_job()])
    sender.send(jobs)
    assert sender.retry_after == 17
    sender.send(jobs)
    assert sender.retry_after == 0


def test_account_is_asked_about_once_for_each_code(scnet: ScnetEmulator, sender: Sender) -> None:
    jobs = [scnet.add_job() for _ in range(200)]
    jobs[7].refused, jobs[70].refused, jobs[170].refused = ("10007", ""), ("10009", ""), ("10007", "")
    sender.send(tracked(jobs))
    assert scnet.calls["clusters"] == 2
    assert scnet.active_jobs == [jobs[7], jobs[70], jobs[170]]


def test_account_that_is_refused_everything_stops_everything(scnet: ScnetEmulator, sender: Sender) -> None:
    scnet.fail("*", code="10007", times=None)
    with pytest.raises(ScnetAccountError):
        sender.send(tracked([scnet.add_job() for _ in range(200)]))
    assert scnet.calls == {"delete": 1, "clusters": 1}


def test_account_that_cannot_be_asked_about_is_not_judged(scnet: ScnetEmulator, sender: Sender) -> None:
    jobs = [scnet.add_job() for _ in range(4)]
    jobs[1].refused = ("10007", "")
    scnet.fail("clusters", status=503, times=None)
    sender.send(tracked(jobs))
    assert scnet.active_jobs == [jobs[1]]


@pytest.mark.parametrize("have_ended", [False, True])
def test_many_different_jobs_refused_alone(scnet: ScnetEmulator, sender: Sender, have_ended: bool) -> None:
    """It is the account, unless a look shows that it was about these jobs."""
    jobs = [scnet.add_job() for _ in range(REFUSED_ALONE + 5)]
    for job in jobs[:REFUSED_ALONE]:
        job.refused = ("10009", "")
    progress = tracked(jobs, batch_size=1)
    assert sender.send(progress)
    assert sum(job.sends for job in progress) == REFUSED_ALONE
    for job in progress[: have_ended * 1]:
        job.stage = Stage.DELETED
    rest = [job for job in progress if not job.stage.is_settled]
    if have_ended:
        sender.send(rest)
        assert scnet.active_jobs == jobs[:REFUSED_ALONE]
    else:
        with pytest.raises(ScnetError, match="10009"):
            sender.send(rest)


def test_refusals_count_once_and_only_since_a_delete_was_accepted(scnet: ScnetEmulator, sender: Sender) -> None:
    jobs = [scnet.add_job() for _ in range(2 * REFUSED_ALONE - 2)]
    for job in jobs:
        job.refused = ("10009", "")
    good = scnet.add_job()
    half = REFUSED_ALONE - 1
    progress = tracked([*jobs[:half], good, *jobs[half:]], batch_size=1)
    for _ in range(3):
        sender.send([job for job in progress if job.stage is not Stage.CONFIRMED])
    assert not good.active
    assert {job.stage for job in progress} == {Stage.REFUSED, Stage.CONFIRMED}


def test_log_says_when_a_delete_is_sent_again_to_how_many_and_why(
    scnet: ScnetEmulator, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="airflow_provider_scnet")
    progress = tracked([scnet.add_job(), scnet.add_job()])
    scnet.fail("delete", code="10012")
    sender.send(progress)
    assert "Sending the delete" not in caplog.text
    sender.send(progress)
    assert "Sending the delete of 2 jobs again: 2 after 10012." in caplog.text
    sender.send(progress[:1])
    assert "Sending the delete of 1 job again: 1 not known to be finished although SCNet confirmed it." in caplog.text


def test_last_round_goes_on_although_deletes_get_lost(scnet: ScnetEmulator, sender: Sender) -> None:
    scnet.fail("delete", status=503, times=FAILURES_IN_A_ROW)
    jobs = [scnet.add_job() for _ in range(200)]
    sender.send(tracked(jobs), is_last=True)
    assert scnet.active_jobs == jobs[:150]


@pytest.mark.parametrize("code", sorted(EFFECT_UNKNOWN))
def test_last_round_splits_what_is_answered_without_saying_what_was_done(
    scnet: ScnetEmulator, sender: Sender, code: str
) -> None:
    jobs = [scnet.add_job() for _ in range(50)]
    jobs[7].refused = (code, "busy")
    sender.send(tracked(jobs), is_last=True)
    assert scnet.active_jobs == [jobs[7]]


def test_last_round_does_not_split_for_ever(scnet: ScnetEmulator, sender: Sender) -> None:
    scnet.fail("delete", code="815005", times=None)
    sender.send(tracked([scnet.add_job() for _ in range(1000)]), is_last=True)
    assert scnet.calls["delete"] < 20 + 2 * SPLITS_IN_A_ROW


def test_last_round_ends_where_nothing_is_answered_in_time(scnet: ScnetEmulator, sender: Sender) -> None:
    def hang(request: object) -> bool:
        scnet.clock.advance(30)
        return True

    scnet.fail("delete", status=503, times=None, when=hang)
    sender.send(tracked([scnet.add_job() for _ in range(1000)]), is_last=True)
    assert scnet.calls["delete"] == FAILURES_IN_A_ROW
