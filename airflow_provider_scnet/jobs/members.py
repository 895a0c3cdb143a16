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
    :param claimed: entries that have ended, says a code, in the last read that could not miss one.
    :param asked: those of them whose detail has told all it can since: an end, or no word at all.
    :param confirmed: those of them whose detail has a final word.
    """

    is_array: bool = False
    is_one: bool = False
    may_be_hidden: bool = False
    going_on: frozenset[str] = frozenset()
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

    @property
    def have_ended(self) -> bool:
        """Whether the words in their details confirm all that codes say."""
        return bool(self.claimed) and self.claimed <= self.confirmed and not self.going_on

    def are_whole(self, read: Read) -> bool:
        """Tell whether none can be missing in what was read."""
        return read.is_complete and (read.is_alone or not self.is_array)
