"""A job: a timeline of Slurm's words, from which its state at any moment follows."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.clock import Clock
from airflow_provider_scnet.testing.words import VANISHED, is_requeueable, is_terminal

#: Seconds for which a finished job stays in the live list.
LIVE_SECONDS = 300.0
#: Seconds for which a job that is started again is PENDING.
RESTART_SECONDS = 5.0

#: From this moment on (seconds since the epoch) Slurm has this word for the job.
Entry = tuple[float, str]


@dataclass(eq=False)
class Job:
    """
    A job of an emulated cluster. Its state follows the clock.

    :param clock: the clock it lives by.
    :param behaviour: says whether it is started again after an end like PREEMPTED.
    :param scheduler_id: scheduler it was submitted to.
    :param user: cluster user that owns it.
    :param job_id: its id in that scheduler.
    :param started_at: when it first started, seconds since the epoch; None while it is queued.
    :param outcome: Slurm's word for it once it has ended.
    :param exit_code: Slurm's ``rc:signal``; None for the usual one of the outcome.
    :param gpus: how many it has on all nodes together; so are ``procs`` and ``dcus``.
    :param wall_time: how long it may run, in seconds, as it was asked for.
    :param script: the file that the scheduler runs; by default one in its working directory.
    :param node_string: names of its nodes, if it asked for certain ones.
    :param logs: what it has written to ``stdout`` and ``stderr``; a stream without an entry has no file.
    :param log_paths: where those are; by default in its working directory.
    :param deletes: how many deletes have named it.
    :param ignores_delete: deletes are answered with success and do nothing: all (True) or the next n.
    :param refused: ``(code, msg)`` with which a delete of this job is refused.
    """

    clock: Clock = field(repr=False)
    behaviour: Behaviour = field(repr=False)
    scheduler_id: str
    user: str
    job_id: str
    name: str
    queue: str
    _timeline: list[Entry]
    started_at: float | None = None
    outcome: str = "COMPLETED"
    exit_code: str | None = None
    work_dir: str = "/public/home/demo"
    command: str = ""
    nodes: int = 1
    procs: int = 1
    gpus: int = 0
    dcus: int = 0
    wall_time: float = 24 * 3600.0
    script: str = ""
    node_string: str = ""
    logs: dict[str, str] = field(default_factory=dict)
    log_paths: dict[str, str] = field(default_factory=dict)
    deletes: int = 0
    ignores_delete: bool | int = False
    refused: tuple[str, str] | None = None
    _accepted_at: list[float] = field(default_factory=list, repr=False)

    @property
    def ref(self) -> str:
        """The job as an entry of ``strJobInfoMap``: without the limit in ``5_[2-9%4]``, which no delete may name."""
        return f"{self.scheduler_id},{self.user}:{re.sub(r'%[0-9]+', '', self.job_id)}:"

    @property
    def is_member(self) -> bool:
        """Whether it is one member of an array."""
        return re.fullmatch(r"\w+_\d+", self.job_id) is not None

    def called(self, job_id: str) -> Job:
        """
        Return the job as a list shows it that has another id for it.

        :param job_id: that id.
        """
        shown = copy.copy(self)
        shown.job_id = job_id
        return shown

    @property
    def node_names(self) -> str:
        """Names of the nodes that it runs on once it does, with commas between."""
        return self.node_string or ",".join(f"node{number:02}" for number in range(1, self.nodes + 1))

    @property
    def script_path(self) -> str:
        """The file that the scheduler runs: the given one, or the one that SCNet wraps a command into."""
        return self.script or f"{self.work_dir}/job_BASE.slurm"

    def log_path(self, stream: str, job_id: str | None = None) -> str:
        """
        Return the file that a stream is written to.

        :param stream: ``stdout`` or ``stderr``.
        :param job_id: of the member of an array, where the job stands for several.
        """
        given = self.log_paths.get(stream, f"{self.work_dir}/std.{stream.removeprefix('std')}.%j")
        return given.replace("%j", job_id or self.job_id)

    @property
    def timeline(self) -> Sequence[Entry]:
        """All that has happened to the job and, as far as it is known yet, what will: moments and Slurm's words."""
        self._restart()
        return tuple(self._timeline)

    def state_at(self, moment: float) -> str | None:
        """
        Return Slurm's word for the job at a moment; None before it was submitted.

        :param moment: seconds since the epoch.
        """
        entry = self._entry_at(moment)
        return entry and entry[1]

    def ended_by(self, moment: float) -> float | None:
        """
        Return when the job ended, as it was known at a moment; None if it was active then.

        :param moment: seconds since the epoch.
        """
        entry = self._entry_at(moment)
        return entry[0] if entry and is_terminal(entry[1]) else None

    def listed_at(self, moment: float) -> bool:
        """
        Tell whether the job was there at a moment, and had ended less than five minutes before if at all.

        :param moment: seconds since the epoch.
        """
        entry = self._entry_at(moment)
        if entry is None or entry[1] == VANISHED:
            return False
        return not is_terminal(entry[1]) or moment < entry[0] + LIVE_SECONDS

    def in_lead(self, moment: float, seconds: float) -> bool:
        """
        Tell whether a delete was accepted that named the job less than so many seconds before a moment.

        :param moment: seconds since the epoch.
        """
        return seconds > 0 and any(at <= moment < at + seconds for at in self._accepted_at)

    @property
    def state(self) -> str:
        """Slurm's word for the job at the clock's present."""
        return self.state_at(self.clock.now()) or self._timeline[0][1]

    @property
    def submitted_at(self) -> float:
        """When it was submitted, seconds since the epoch."""
        return self._timeline[0][0]

    @property
    def ended_at(self) -> float | None:
        """When the job ended, seconds since the epoch; None while it has not."""
        return self.ended_by(self.clock.now())

    @property
    def ends_at(self) -> float | None:
        """When it ends or has ended, seconds since the epoch; None for a job that only a delete can end."""
        ended_at = self.ended_at
        if ended_at is not None:
            return ended_at
        now = self.clock.now()
        return next((at for at, word in self._timeline if at > now and is_terminal(word)), None)

    @ends_at.setter
    def ends_at(self, moment: float | None) -> None:
        end = self.ends_at
        self._timeline = [entry for entry in self._timeline if end is None or entry[0] < end]
        if moment is not None:
            self._timeline.append((moment, self.outcome))

    @property
    def active(self) -> bool:
        """Whether the job has not ended."""
        return self.ended_at is None

    @property
    def will_run(self) -> bool:
        """Whether the job is active, or will be started again without anybody's doing."""
        return self.active or not is_terminal(self.timeline[-1][1])

    @property
    def listed(self) -> bool:
        """Whether the live list of a service that neither lags nor caps shows the job."""
        return self.listed_at(self.clock.now())

    def become(self, state: str) -> None:
        """
        Put the job into another state now, as if the cluster had done it.

        :param state: Slurm's word; a terminal one ends the job.
        """
        now = self.clock.now()
        self._go_on((now, state))
        if is_terminal(state):
            self.outcome, self.exit_code = state, None
        elif state != "PENDING" and self.started_at is None:
            self.started_at = now

    def wait(self, seconds: float) -> None:
        """
        Let a job that was just submitted start, and end, later.

        :param seconds: how much.
        """
        if seconds > 0:
            submitted_at = self.submitted_at
            later = [(moment + seconds, word) for moment, word in self._timeline]
            self._timeline = [(submitted_at, "PENDING"), *later]
            self.started_at = submitted_at + seconds

    def cancel(self, delay: float, *, leaves_record: bool = True) -> None:
        """
        Do what a delete does: COMPLETING for a while, then CANCELLED.

        :param delay: seconds in COMPLETING.
        """
        now = self.clock.now()
        self._accepted_at.append(now)
        ending = self.state == "COMPLETING" and self.ends_at is not None
        if not self.active or ending:
            return
        if self.ignores_delete:
            if self.ignores_delete is not True:
                self.ignores_delete -= 1
            return
        if self.behaviour.waiting_rest and self.is_member and self.state == "PENDING" and not leaves_record:
            self.become(VANISHED)
            return
        self.outcome, self.exit_code = "CANCELLED", None
        self._go_on((now, "COMPLETING"), (now + delay, "CANCELLED"))

    def _go_on(self, *entries: Entry) -> None:
        """Replace what was planned."""
        now = self.clock.now()
        self._timeline = [*(entry for entry in self._timeline if entry[0] <= now), *entries]
        if self.started_at is not None and self.started_at > now:
            self.started_at = None

    def _entry_at(self, moment: float) -> Entry | None:
        self._restart()
        for entry in reversed(self._timeline):
            if entry[0] <= moment:
                return entry
        return None

    def _restart(self) -> None:
        """Plan the restart of a job that has ended in a way that a scheduler may undo."""
        ended_at, word = self._timeline[-1]
        pause = self.behaviour.requeue_after
        if pause is not None and is_requeueable(word) and ended_at <= self.clock.now():
            again = ended_at + pause
            self._timeline += [(again, "PENDING"), (again + RESTART_SECONDS, "RUNNING")]
