"""What Airflow reads about this provider, its connection form included; it imports nothing of it."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata in the form of ``provider.yaml``."""
    return {
        "package-name": "airflow-provider-scnet",
        "name": "SCNet",
        "description": "Run and reliably stop `SCNet (国家超算互联网) <https://www.scnet.cn/>`__ HPC jobs.",
        "state": "ready",
        "source-date-epoch": 1795824000,
        "versions": ["0.2.0", "0.1.0"],
        "integrations": [
            {
                "integration-name": "SCNet",
                "external-doc-url": "https://www.scnet.cn/ac/openapi/doc/2.0/",
                "tags": ["service"],
            }
        ],
        "operators": [{"integration-name": "SCNet", "python-modules": ["airflow_provider_scnet.operators.scnet"]}],
        "sensors": [{"integration-name": "SCNet", "python-modules": ["airflow_provider_scnet.sensors.scnet"]}],
        "triggers": [{"integration-name": "SCNet", "python-modules": ["airflow_provider_scnet.triggers.scnet"]}],
        "hooks": [{"integration-name": "SCNet", "python-modules": ["airflow_provider_scnet.hooks.scnet"]}],
        "connection-types": [
            {
                "connection-type": "scnet",
                "hook-class-name": "airflow_provider_scnet.hooks.scnet.ScnetHook",
                "hook-name": "SCNet",
                "ui-field-behaviour": _ui_field_behaviour(),
                "conn-fields": _conn_fields(),
            }
        ],
    }


def _ui_field_behaviour() -> dict[str, Any]:
    """
    Describe Airflow's own fields.

    ``schema`` is hidden because the host is a whole address, ``extra`` because of the fields below.
    """
    return {
        "hidden-fields": ["schema", "extra"],
        "relabeling": {
            "host": "HPC gateway (HPC 地址)",
            "port": "Port (端口)",
            "login": "Platform user (平台登录名)",
            "password": "Region token (区域令牌)",
        },
        "placeholders": {
            "host": "e.g. https://hpc.example:65051; with AK/SK: looked up if empty",
            "port": "e.g. 65051, if the gateway above does not name it",
            "login": "with AK/SK: your login name on www.scnet.cn",
            "password": "with AK/SK: leave empty, it is fetched and renewed",
            "region": "11250",
            "scheduler_id": "1638523853",
            "user": "acexample01",
            "api_url": "https://api.scnet.cn",
            "platform_url": "https://www.scnet.cn",
            "timeout": "30",
            "verify": "true",
        },
    }


def _conn_fields() -> dict[str, Any]:
    """Describe our own fields, kept in the Connection's ``extra``, in the order of the form."""
    return {**_account_fields(), **_service_fields()}


def _account_fields() -> dict[str, Any]:
    """Describe whose jobs are meant."""
    return {
        "access_key": _field(
            "Access key (Accesskey, AK)",
            "Column Accesskey of the file you downloaded on www.scnet.cn under 个人中心 → 访问控制 (personal center, "
            "access control). With an AK/SK pair you need no token, but the platform user above.",
            format="password",
        ),
        "secret_key": _field(
            "Secret key (Secretkey, SK)",
            "Column Secretkey of the same file.",
            format="password",
        ),
        "region": _field(
            "Region (计算区域)",
            "Number (clusterId) or name of the computing region, e.g. 11250. Needed with AK/SK if you have several.",
        ),
        "scheduler_id": _field(
            "Scheduler (调度器)",
            "Number of the scheduler for job ids that come without one, e.g. 1638523853. Empty: the region's only "
            "one; if there are several, the error message lists them.",
        ),
        "user": _field(
            "Cluster user (集群用户)",
            "Your account on the region's cluster, e.g. acexample01, for job ids that come without one. It is not "
            "the platform user. Empty: looked up.",
        ),
    }


def _service_fields() -> dict[str, Any]:
    """Describe where SCNet is and how to talk to it."""
    return {
        "api_url": _field(
            "API address (API 地址)",
            "Where AK/SK are exchanged for tokens. Empty: https://api.scnet.cn",
        ),
        "platform_url": _field(
            "Platform address (平台地址)",
            "Where regions and gateways are looked up. Empty: https://www.scnet.cn",
        ),
        "timeout": _field(
            "Timeout (超时时间)",
            "Seconds to wait for each answer. Empty: 30",
            kind="integer",
            minimum=1,
        ),
        "verify": _field(
            "Verify TLS certificate (证书校验)",
            "true, false, or the path of a CA file on the machines that run Airflow. Empty: true",
        ),
        "allow_http": _field(
            "Allow http:// (允许明文 HTTP)",
            "Let token and keys travel unencrypted to a gateway on another machine. For test systems only.",
            kind="boolean",
            default=False,
        ),
    }


def _field(label: str, description: str, *, kind: str = "string", **schema: Any) -> dict[str, Any]:
    """Describe a field that may stay empty."""
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}
