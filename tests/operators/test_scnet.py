from __future__ import annotations

import json
import subprocess
import sys


def test_importing_operators_and_sensor_costs_little() -> None:
    code = (
        "import sys\n"
        "try:\n    import airflow.sdk\nexcept ImportError:\n    import airflow.models.baseoperator\n"
        "import airflow.providers.common.compat.sdk as sdk\n"
        "sdk.BaseOperator, sdk.BaseSensorOperator, sdk.AirflowException\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_scnet.operators.scnet, airflow_provider_scnet.sensors.scnet\n"
        "import json; print(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    added = json.loads(out.splitlines()[-1])
    assert "requests" not in added
    assert "airflow_provider_scnet.api.gateway" not in added
    assert len(added) <= 25
