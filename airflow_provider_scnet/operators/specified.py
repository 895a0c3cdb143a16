"""A task whose arguments are those of a job: checked where its DAG is parsed, and again where they are rendered."""

from __future__ import annotations

from typing import Any

from airflow_provider_scnet.api.reference import is_nothing
from airflow_provider_scnet.exceptions import ScnetJobSpecificationError
from airflow_provider_scnet.jobs.rendering import SpelledFields
from airflow_provider_scnet.jobs.specification import JobSpecification
from airflow_provider_scnet.wording import shown


class SpecifiedFields(SpelledFields):
    """
    Stands before Airflow's class among the bases of an operator that has an attribute for each argument of
    :class:`JobSpecification`.

    It is no operator itself: Airflow would take the defaults of ``BaseOperator`` for those of mapped tasks.
    """

    task_id: Any
    queue: Any
    get_dag: Any
    get_template_env: Any

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Check what is known of a mapped task where its DAG is parsed; see Airflow's own ``partial``."""
        made = super().partial(**kwargs)
        known = {name: kwargs[name] for name in JobSpecification.__dataclass_fields__ if name in kwargs}
        JobSpecification.check_parsed(known, jinja=lambda: _environment_of(made.kwargs.get("dag")))
        return made

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """Render as Airflow does, but refuse a script, included ones too, of which Jinja would cut a part."""
        from airflow_provider_scnet.jobs.scripts import guarded

        environment = guarded(jinja_env or self.get_template_env())
        try:
            return super().render_template(content, context, environment, seen_oids)
        except ScnetJobSpecificationError as error:
            name = next((name for name in self.template_fields if getattr(self, name, None) is content), None)
            if name is None:  # one of several that a field holds
                raise
            raise ScnetJobSpecificationError(f"{name}, {error}") from None

    def _check_parsed(self) -> None:
        if is_nothing(self._arguments()["job_queue"]):
            raise ScnetJobSpecificationError(
                f"job_queue: missing; it is the queue (partition) on the cluster. queue={shown(self.queue)} is an "
                f"argument of Airflow's own, the queue of its workers."
            )
        dag: Any = self.get_dag()
        is_mapped = dag is not None and dag.task_dict.get(self.task_id) is not self
        # What a mapped task got from XCom will not be rendered. The rest of it has been checked, or will be.
        JobSpecification.check_parsed(self._arguments(), jinja=None if is_mapped else self.get_template_env)

    def _arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in JobSpecification.__dataclass_fields__}


def _environment_of(dag: Any) -> Any:
    from jinja2 import Environment

    return dag.get_template_env() if dag else Environment()  # noqa: S701 - it renders nothing
