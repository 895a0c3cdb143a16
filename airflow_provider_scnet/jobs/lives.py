"""Which jobs are of the present life of a task instance: a clear begins a new one, a retry does not."""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_provider_scnet.jobs.naming import JobTag, TaskTags


@dataclass(frozen=True)
class Life:
    """
    A task instance from a clear, or from its first try, until the next clear.

    :param tag: of what is submitted now.
    :param earlier_task: stands for the same task in names made by 0.2.0; empty if there can be none.
    :param retries: of the task, as the DAG has them now.
    :param since: the try that is known to have begun this life; 0 if that is not known.
    :param counts_clears: whether Airflow counts every clear of the run: there was none while the count stayed the same.
    """

    tag: JobTag
    earlier_task: str = ""
    retries: int = 0
    since: int = 0
    counts_clears: bool = False

    @property
    def tasks(self) -> TaskTags:
        """What stands for the task in the names of its jobs."""
        return TaskTags(self.tag.task, self.earlier_task)

    def translated(self, tag: JobTag) -> JobTag:
        """
        Return the tag as it would be now: names made by 0.2.0 tell neither Airflow nor command and resources.

        :param tag: of any job.
        """
        if not self.earlier_task or tag.task != self.earlier_task:
            return tag
        return replace(tag, task=self.tag.task, specification=self.tag.specification)

    def is_of_same_instance(self, tag: JobTag) -> bool:
        """Tell whether a job is of this task instance, of whatever life."""
        return self.translated(tag).instance == self.tag.instance

    def owns(self, tag: JobTag) -> bool:
        """Tell whether a job is of this life, with the command and the resources that are asked for now."""
        return self.translated(tag) == self.tag and not self.is_later_than(tag)

    def may_keep(self, tag: JobTag) -> bool:
        """Tell whether a job of an earlier life is of the same command and resources, which 0.2.0 did not tell."""
        return self.is_of_same_instance(tag) and tag.specification == self.tag.specification

    def is_over(self, tag: JobTag) -> bool:
        """
        Tell whether a job shows that this life is over: that it was submitted after a clear that came later.

        :param tag: of a job of this task instance.
        """
        return self.translated(tag).is_of_later_life(self.tag)

    def is_later_than(self, tag: JobTag) -> bool:
        """
        Tell whether a job of the same generation was submitted before a clear. Airflow's ``max_tries`` is the same
        after a clear if ``retries`` were changed to just that, or if the DAG was without the task at that moment.

        :param tag: of a job of this task instance.
        """
        submitted_in = tag.try_number
        if not submitted_in or (self.counts_clears and tag.clears == self.tag.clears):
            return False
        if submitted_in < self.since:
            return True
        # A clear sets max_tries to the try it follows plus retries. If a try since the job's can have been that one,
        # and something in the run was cleared since, then it was this task.
        cleared_after = self.tag.generation - self.retries
        return submitted_in <= cleared_after < self.tag.try_number and tag.clears != self.tag.clears
