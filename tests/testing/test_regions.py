from __future__ import annotations

import pytest
import requests

from airflow_provider_scnet.testing import ScnetEmulator

INVALID = {"msg": "auth_fail", "code": "10008", "data": "token is invalid"}


@pytest.fixture
def other(scnet):
    return scnet.add_region("11113", "region-b")


def hpc(url, token, method="GET", path="/cluster", **options):
    return requests.request(
        method, f"{url}/hpc/openapi/v2{path}", headers={"token": token}, timeout=10, **options
    ).json()


def test_each_region_has_its_own_everything(scnet, other):
    first = scnet.regions[0]
    assert scnet.regions == [first, other]
    assert (first.url, first.user, first.token) == (scnet.url, scnet.user, scnet.token)
    assert (other.name, other.user) == ("region-b", "acexample02")
    assert other.url not in ("", scnet.url)
    assert repr(other) == "Region('11113', 'region-b')"
    assert [entry["id"] for entry in hpc(other.url, other.token)["data"]] == [1638523854]
    named = scnet.add_region("11114", "region-c", user="u", schedulers={"7": "Seven"})
    assert scnet.add_job(region=named).ref == "7,u:101:"


def test_a_token_is_good_for_its_own_region_only(scnet, other):
    assert hpc(other.url, scnet.token) == hpc(scnet.url, other.token) == INVALID
    assert hpc(other.url, other.token)["code"] == hpc(scnet.url, scnet.token)["code"] == "0"
    assert [request.region for request in scnet.requests] == ["11113", "11112", "11113", "11112"]
    scnet.fail("clusters", code="10012", when=lambda request: request.region == "11113")
    assert [hpc(region.url, region.token)["code"] for region in scnet.regions] == ["0", "10012"]


def test_only_the_first_region_s_port_serves_the_platform(scnet, other):
    for path in ("/", "/ac/openapi/v2/center"):
        assert requests.get(other.url + path, headers={"token": other.token}, timeout=10).status_code == 404
        assert requests.get(scnet.url + path, headers={"token": other.token}, timeout=10).status_code == 200


def test_jobs_of_several_regions(scnet, other):
    one, two = scnet.add_job(), scnet.add_job(region=other)
    three = scnet.add_job("COMPLETED", region="11113", user="bob")
    assert [job.ref for job in (one, two, three)] == [
        "1638523853,acexample01:101:",
        "1638523854,acexample02:101:",
        "1638523854,bob:102:",
    ]
    assert (scnet.jobs, other.jobs, scnet.active_jobs) == ([one, two, three], [two, three], [one, two])
    assert (scnet.job(101), scnet.job(101, region=other), scnet.job("102")) == (one, two, three)
    with pytest.raises(KeyError):
        scnet.job("102", region="11112")
    body = {"jobMethod": "5", "strJobInfoMap": two.ref}
    assert hpc(scnet.url, scnet.token, "DELETE", "/jobs", data=body)["code"] == "10004"
    assert hpc(other.url, other.token, "DELETE", "/jobs", data=body)["code"] == "0"
    assert [job.state for job in scnet.jobs] == ["RUNNING", "CANCELLED", "COMPLETED"]
    assert "bob" in requests.get(scnet.url, timeout=10).text


@pytest.mark.usefixtures("other")
def test_impossible_regions(scnet):
    for region_id in ["11113", "0", "b"]:
        with pytest.raises(ValueError, match=r".+"):
            scnet.add_region(region_id, "region-c")
    with pytest.raises(ValueError, match=r"no region '11114', only \['11112', '11113'\]"):
        scnet.add_job(region="11114")
    assert len(scnet.regions) == 2


def test_a_stopped_region(scnet, other):
    token = other.token
    other.stopped = True
    assert hpc(other.url, token)["code"] == "10007"
    assert hpc(other.url, "nonsense") == INVALID
    scnet.stopped_code = "10008"
    assert hpc(other.url, token) == INVALID
    assert hpc(scnet.url, scnet.token)["code"] == "0"
    other.stopped = False
    assert hpc(other.url, token)["code"] == "0"


def test_revoking_all_tokens_of_a_region(scnet, other):
    tokens = [other.token, other.mint_token(lifetime=7)]
    platform = scnet.mint_token(platform=True, clusterId="11113")
    other.revoke_tokens()
    assert [hpc(other.url, token) for token in tokens] == [INVALID] * 2
    assert hpc(other.url, other.token)["code"] == hpc(scnet.url, scnet.token)["code"] == "0"
    state = f"{scnet.url}/ac/openapi/v2/tokens/state"
    assert requests.get(state, headers={"token": platform}, timeout=10).json()["code"] == "0"


def test_gateways(scnet):
    usual = {"enable": "true", "isManagerNode": "false", "version": "5.2.2"}
    region = scnet.add_region("11114", "region-c", gateways=[])
    assert region.gateway_entries() == []
    region.gateways = ["https://a.example/"]
    region.gateways.append({"url": "http://b.example:65051/hpc", "enable": False, "version": None})
    region.gateways.append({"url": "https://c.example", "enable": None, "nodes": 3})
    assert region.gateway_entries() == [
        {**usual, "isManagerNode": "true", "url": "https://a.example/"},
        {"enable": "false", "isManagerNode": "false", "url": "http://b.example:65051/hpc"},
        {"isManagerNode": "false", "version": "5.2.2", "url": "https://c.example", "nodes": 3},
    ]


def test_the_usual_gateway_can_be_added_to(scnet, other):
    other.gateways.append(f"{scnet.dead_url()}/hpc")
    first, second = other.gateway_entries()
    assert first["url"] == other.url
    assert requests.get(f"{first['url']}/hpc/openapi/v2/cluster", timeout=10).json() == INVALID
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{second['url']}/openapi/v2/cluster", timeout=10)


def test_a_token_from_elsewhere_is_handed_out_while_it_is_good(scnet, call):
    with ScnetEmulator() as elsewhere:
        token = elsewhere.token
        other = elsewhere.mint_token(clusterId="11113")
    (region,) = scnet.regions
    with pytest.raises(ValueError, match=r"for region '11113' and cluster user 'acexample01', not for '11112' and"):
        region.adopt_token(other)
    region.adopt_token(token)
    assert scnet.token == region.token == token
    assert call("GET", "/cluster", token=token)["code"] == "0"
    scnet.clock.advance(12 * 3600)
    assert scnet.token != token
