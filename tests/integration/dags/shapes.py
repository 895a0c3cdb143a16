"""Every way in which a DAG author may hand over jobs, through Airflow's own XCom and template rendering."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_scnet.jobs import JobRef
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

with DAG("shapes", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):

    @task
    def ids() -> list[str]:
        return ["101", "102"]

    @task
    def one() -> str:
        return "101"

    @task
    def number() -> int:
        return 101

    @task
    def record() -> dict[str, object]:
        return {"scheduler_id": 1638523853, "user": "acexample01", "job_id": 102}

    @task
    def references() -> list[JobRef]:
        return [JobRef("1638523853", "acexample01", "101"), JobRef("1638523853", "acexample01", "102")]

    @task
    def nothing() -> None:
        return None

    @task
    def mapped(job_id: int) -> str:
        return str(job_id)

    several, single, count, mapping = ids(), one(), number(), record()
    many = mapped.expand(job_id=[101, 102])
    refs = references()
    upstream = [several, single, count, mapping, refs, nothing(), many]

    def pull(task_id: str, how: str = "") -> str:
        return f"{{{{ ti.xcom_pull(task_ids='{task_id}'){how} }}}}"

    def delete(shape: str, jobs: object, **kwargs: object) -> None:
        upstream >> ScnetDeleteJobsOperator(task_id=shape, jobs=jobs, poll_interval=0.05, **kwargs)

    delete("xcomarg_list", several)
    delete("xcomarg_value", single)
    delete("xcomarg_number", count)
    delete("xcomarg_mapping", mapping)
    delete("xcomarg_references", refs)
    delete("list_of_xcomargs", [single, mapping])
    delete("list_of_templates", [pull("one"), pull("record")])
    delete("template_of_list", pull("ids"))
    delete("template_of_mapping", pull("record"))
    delete("template_joined", pull("ids", " | join(',')"))
    delete("template_json", pull("ids", " | tojson"))
    delete("mapped_xcomarg", many)
    delete("mapped_template_list", pull("mapped", " | list"))
    delete("mapped_template", pull("mapped"))
    delete("missing_xcom", pull("nothing"))
    delete("no_such_task", pull("no_such_task"))
    delete("literal_wire", "1638523853,acexample01:101:;1638523853,acexample01:102:")
    delete(
        "other_fields_templated",
        ["101"],
        scnet_conn_id="{{ 'scnet_' ~ 'other' }}",
        scheduler_id="{{ 1638523853 }}",
        user="{{ 'acexample01' }}",
    )
    delete("broken", ["101", "10 2"])

with DAG(
    "native_shapes",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    render_template_as_native_obj=True,
):

    @task(task_id="one")
    def native_one() -> str:
        return "101"

    @task(task_id="ids")
    def native_ids() -> list[str]:
        return ["101", "102"]

    @task(task_id="member")
    def native_member() -> str:
        return "5_1"

    upstream = [native_one(), native_ids(), native_member()]
    delete("native_value", pull("one"))
    delete("native_list", pull("ids"))
    delete("native_member", "5_1")
    delete("native_members", "[5_1, 5_2]")
    delete("native_told_member", pull("member"))
    delete("native_told_in_a_list", [pull("member")])
    delete("native_told_in_text", "[5_2, " + pull("member") + "]")
