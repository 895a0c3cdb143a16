"""What Airflow reads about this provider; it imports nothing of it."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata in the form of ``provider.yaml``."""
    return {
        "package-name": "airflow-provider-scnet",
        "name": "SCNet",
        "description": "Run and reliably stop `SCNet (国家超算互联网) <https://www.scnet.cn/>`__ HPC jobs.",
        "state": "ready",
        "source-date-epoch": 1795305600,
        "versions": ["0.1.0"],
        "integrations": [
            {
                "integration-name": "SCNet",
                "external-doc-url": "https://www.scnet.cn/ac/openapi/doc/2.0/",
                "tags": ["service"],
            }
        ],
        "operators": [{"integration-name": "SCNet", "python-modules": ["airflow_provider_scnet.operators.scnet"]}],
        "hooks": [{"integration-name": "SCNet", "python-modules": ["airflow_provider_scnet.hooks.scnet"]}],
        "connection-types": [
            {
                "connection-type": "scnet",
                "hook-class-name": "airflow_provider_scnet.hooks.scnet.ScnetHook",
            }
        ],
    }
