from __future__ import annotations

import pytest
import requests


def test_a_bystander_records_what_it_hears(scnet):
    with scnet.bystander() as other:
        assert other.url != scnet.url
        scnet.fail("clusters", redirect=f"{other.url}/caught?a=b", status=307, times=None)
        url = f"{scnet.url}/hpc/openapi/v2/cluster"
        requests.get(url, headers={"token": "t"}, allow_redirects=False, timeout=10)
        assert other.requests == []
        answer = requests.get(url, headers={"token": "t"}, timeout=10)
        assert (answer.status_code, answer.json()) == (200, {})
        requests.delete(other.url, data={"jobMethod": "5"}, timeout=10)
    first, second = other.requests
    assert (first.call, first.method, first.path, first.query) == ("bystander", "GET", "/caught", {"a": "b"})
    assert first.headers.get("token") == "t"
    assert (second.method, second.form) == ("DELETE", {"jobMethod": "5"})
    with pytest.raises(requests.ConnectionError):
        requests.get(other.url, timeout=10)


def test_it_stops_with_the_emulator(scnet):
    other = scnet.bystander()
    assert requests.get(other.url, timeout=10).json() == {}
    scnet.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(other.url, timeout=10)


def test_nobody_listens_on_dead_ports(scnet):
    urls = {scnet.dead_url() for _ in range(5)}
    assert len(urls) == 5
    for url in urls:
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=10)
