from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_scnet.exceptions import ScnetJobReferenceError
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator
from airflow_provider_scnet.testing import ScnetEmulator


def test_execute_returns_what_became_of_the_jobs(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    result = ScnetDeleteJobsOperator(task_id="delete", jobs=[job.ref]).execute({})
    assert json.loads(json.dumps(result)) == {"deleted": [job.ref], "gone": [], "accepted": []}


def test_options_reach_the_deletion(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    job.ignores_delete = True
    operator = ScnetDeleteJobsOperator(
        task_id="delete", jobs=job.job_id, scheduler_id=job.scheduler_id, user=job.user, verify=False, batch_size=1
    )
    assert operator.execute({}) == {"deleted": [], "gone": [], "accepted": [job.ref]}


@pytest.mark.parametrize(
    ("option", "value"),
    [("timeout", -1), ("poll_interval", timedelta(0)), ("batch_size", 0), ("timeout", "{{ soon }}")],
)
def test_bad_option_is_an_error_of_the_dag(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{option}={re.escape(repr(value))}"):
        ScnetDeleteJobsOperator(task_id="delete", jobs=[], **{option: value})


def test_broken_reference_stops_before_any_request(scnet_default: ScnetEmulator) -> None:
    with pytest.raises(ScnetJobReferenceError, match="10 2"):
        ScnetDeleteJobsOperator(task_id="delete", jobs=["101", "10 2"]).execute({})
    assert not scnet_default.requests


def test_template_fields() -> None:
    assert ScnetDeleteJobsOperator.template_fields == ("jobs", "scnet_conn_id", "scheduler_id", "user")


def test_importing_the_operator_costs_little() -> None:
    code = (
        "import sys\n"
        "try:\n    import airflow.sdk\nexcept ImportError:\n    import airflow.models.baseoperator\n"
        "import airflow.providers.common.compat.sdk as sdk\nsdk.BaseOperator, sdk.AirflowException\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_scnet.operators.scnet\n"
        "import json; print(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    added = json.loads(out.splitlines()[-1])
    assert "requests" not in added
    assert "airflow_provider_scnet.api.gateway" not in added
    assert len(added) <= 25
