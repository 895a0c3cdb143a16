"""What is known of the members of an array, of which a list may hide some and the history may not know all."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_scnet.api.states import JobState, Phase
from airflow_provider_scnet.jobs.sighting import Read, Sighting


@dataclass
class Members:
    """
    What is known of the members of an array; others may be hidden by whatever limits a list.

    :param is_array: some read has shown members, so that the job is an array.
    :param is_one: the job is a single member itself.
    :param may_be_hidden: the job's id may stand for what waits of an array, and the list that shows it may be cut.
    :param going_on: entries that were seen to go on, and not to end since.
    :param waiting: those of them that were only ever seen to wait in the row of an array's rest.
    :param have_waited: such a row was seen.
    :param have_started: some entry was seen to go on that is no such row.
    :param claimed: entries that have ended, says a code, in the last read that could not miss one.
    :param asked: those of them whose detail has told all it can since: an end, or no word at all.
    :param confirmed: those of them whose detail has a final word.
    """

    is_array: bool = False
    is_one: bool = False
    may_be_hidden: bool = False
    going_on: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    have_waited: bool = False
    have_started: bool = False
    claimed: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()

    def note_listed(self, sighting: Sighting, read: Read, *, are_sought: bool) -> None:
        """
        Take down what a live list says.

        :param are_sought: whether members that it may hide are looked for.
        """
        self.is_array |= sighting.has_members
        is_enough = read.is_complete or read.is_alone or self.is_one or not sighting.entries
        self.may_be_hidden = are_sought and not is_enough
        self.claimed = sighting.claimed if self.are_whole(read) else frozenset()
        self.going_on = (self.going_on | sighting.going_on) - sighting.ended - self.claimed
        started = sighting.entries - sighting.waiting
        self.waiting = ((self.waiting | sighting.waiting) - started) & self.going_on
        self.have_waited |= bool(sighting.waiting)
        self.have_started |= bool(sighting.going_on - sighting.waiting)
        if any(job_id.isdecimal() for job_id in sighting.ended):
            self.going_on -= self.waiting  # the row of what waited was cancelled as a whole
        self.asked, self.confirmed = self.asked - sighting.going_on, self.confirmed - sighting.going_on

    def note_past(self, sighting: Sighting) -> None:
        """Take down what the history says; it lists what has ended."""
        self.is_array |= sighting.has_members
        self.going_on -= sighting.ended

    def note_detail(self, job_id: str, state: JobState) -> None:
        """
        Take down what the detail of one says.

        :param state: with a word, or nothing.
        """
        if not state.word or state.phase is Phase.ENDED:
            self.asked |= {job_id}
        if state.word and state.phase is Phase.ENDED:
            self.confirmed |= {job_id}
        elif state.word and state.phase is Phase.ACTIVE:
            self.going_on, self.claimed = self.going_on | {job_id}, frozenset()
            self.have_started = True

    @property
    def must_end(self) -> frozenset[str]:
        """Those that have to be told to have ended; of the others, which wait, no record is left by a cancel."""
        return self.going_on - self.waiting

    @property
    def have_only_waited(self) -> bool:
        """Whether all that was seen to go on has waited in the row of an array's rest."""
        return self.have_waited and not self.have_started

    @property
    def have_ended(self) -> bool:
        """Whether the words in their details confirm all that codes say."""
        return bool(self.claimed) and self.claimed <= self.confirmed and not self.going_on

    def are_whole(self, read: Read) -> bool:
        """Tell whether none can be missing in what was read."""
        return read.is_complete and (read.is_alone or not self.is_array)
