from __future__ import annotations

import pytest

from airflow_provider_scnet.api.addresses import gateway_address, is_this_machine
from airflow_provider_scnet.exceptions import ScnetRequestError


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://hpc.example", "https://hpc.example/hpc"),
        ("https://hpc.example/", "https://hpc.example/hpc"),
        ("https://hpc.example:65051", "https://hpc.example:65051/hpc"),
        ("https://hpc.example:65051/hpc", "https://hpc.example:65051/hpc"),
        ("https://hpc.example:65051/hpc///", "https://hpc.example:65051/hpc"),
        ("https://hpc.example:65051/hpc/openapi/v2", "https://hpc.example:65051/hpc"),
        ("https://hpc.example:65051/hpc/openapi/v2/", "https://hpc.example:65051/hpc"),
        ("https://hpc.example/openapi/v2", "https://hpc.example/hpc"),
        ("https://hpc.example/region/hpc", "https://hpc.example/region/hpc"),
        ("https://hpc.example/region", "https://hpc.example/region/hpc"),
        ("https://hpc.example/myhpc", "https://hpc.example/myhpc/hpc"),
        ("HTTPS://HPC.example", "https://hpc.example/hpc"),
        ("https://hpc.example:", "https://hpc.example/hpc"),
        ("https://10.0.0.1:65051", "https://10.0.0.1:65051/hpc"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]/hpc"),
        ("https://[2001:db8::1]:65051/hpc", "https://[2001:db8::1]:65051/hpc"),
        ("http://localhost:8765", "http://localhost:8765/hpc"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765/hpc"),
        ("http://127.9.9.9", "http://127.9.9.9/hpc"),
        ("http://[::1]:8765", "http://[::1]:8765/hpc"),
    ],
)
def test_gateway_address(given: str, base: str) -> None:
    assert gateway_address(given) == base
    assert gateway_address(base) == base


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hpc.example",
        "hpc.example:65051",
        "//hpc.example",
        "https://",
        "https:///hpc",
        "https://:65051",
        "ftp://hpc.example",
        "file:///etc/passwd",
        " https://hpc.example",
        "https://hpc.example ",
        "https://hpc example",
        "https://hpc.example\n",
        "https://hpc.example:0",
        "https://hpc.example:65536",
        "https://hpc.example:-1",
        "https://hpc.example:port",
        "https://hpc.example:１",
        "https://[2001:db8::1",
        "https://[hpc.example]",
        "https://hpc.example?x=1",
        "https://hpc.example/hpc?x=1",
        "https://hpc.example/hpc#x",
        "https://hpc.example\x00",
        "https://hpc..example",
        f"https://{'a' * 64}.example",
    ],
)
def test_no_address(url: str) -> None:
    with pytest.raises(ScnetRequestError, match=r"^host="):
        gateway_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://alice:SECRET@hpc.example",
        "https://SECRET@hpc.example",
        "https://:SECRET@hpc.example",
        "https://alice:SEC@RET@hpc.example",
        "https://alice:SECRET/x@hpc.example",
        "https://alice:SECRET@hpc.example:port",
        "ftp://alice:SECRET@hpc.example",
        "http://alice:SECRET@hpc.example?x=1",
        "https://hpc.example/hpc?token=SECRET",
        "https://hpc.example/hpc#SECRET",
    ],
)
def test_secrets_in_an_address_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ScnetRequestError) as caught:
        gateway_address(url)
    assert "SEC" not in str(caught.value)
    assert "RET" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["hpc.example", "10.0.0.1", "0.0.0.0", "[2001:db8::1]", "localhost.example", "127.0.0.1.example"]
)
def test_plain_http(host: str) -> None:
    with pytest.raises(ScnetRequestError, match="allow_http"):
        gateway_address(f"http://{host}:1")
    assert gateway_address(f"http://{host}:1", allow_http=True) == f"http://{host}:1/hpc"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/hpc",
        "https://127.0.0.1/",
        "http://127.255.0.9",
        "http://LOCALHOST:1/",
        "http://[::1]:8000/hpc",
    ],
)
def test_address_of_this_machine(url: str) -> None:
    assert is_this_machine(url)


@pytest.mark.parametrize(
    "url",
    ["http://128.0.0.1", "http://0.0.0.0", "http://localhost.example", "http://[::2]", "http://[", "127.0.0.1", ""],
)
def test_address_of_another_machine(url: str) -> None:
    assert not is_this_machine(url)
