from __future__ import annotations

import pytest
import requests

NOT_FOUND = {"code": "404", "data": None, "msg": "Not Found"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/hpc/openapi/v2/queue", 404),
        ("GET", "/hpc/hpc/openapi/v2/jobs", 404),
        ("GET", "/openapi/v2/jobs", 404),
        ("GET", "/hpc/openapi/v2/jobs/1/2", 404),
        ("POST", "/hpc/openapi/v2/apptemplates/BASIC/OTHER/job", 404),
        ("POST", "/hpc/openapi/v2/jobs", 405),
        ("DELETE", "/hpc/openapi/v2/cluster", 405),
        ("POST", "/", 405),
    ],
)
def test_paths_and_verbs_that_do_not_exist(scnet, method, path, status):
    response = requests.request(method, scnet.url + path, timeout=10)
    assert (response.status_code, response.json()["code"]) == (status, str(status))
    assert scnet.calls == {"unknown": 1}
    if status == 404:
        assert response.json() == NOT_FOUND
    else:
        assert response.headers["Allow"]


def test_what_is_recorded(scnet, call):
    call("GET", "/jobs", params={"strJobName": "a b", "x": ["1", "2"]})
    call("DELETE", "/jobs", data={"jobMethod": "5", "strJobInfoMap": "1,u:1:;1,u:2:"})
    call("POST", "/apptemplates/BASIC/BASE/job", json={"a": "b"})
    call("GET", "/jobs/5_1")
    first, second, third, fourth = scnet.requests
    assert (first.call, first.method, first.path) == ("list", "GET", "/hpc/openapi/v2/jobs")
    assert first.query == {"strJobName": "a b", "x": "1,2"}
    assert first.headers.get("TOKEN") == scnet.token
    assert second.body == "jobMethod=5&strJobInfoMap=1%2Cu%3A1%3A%3B1%2Cu%3A2%3A"
    assert second.form == {"jobMethod": "5", "strJobInfoMap": "1,u:1:;1,u:2:"}
    assert (third.call, third.form, third.body) == ("submit", {}, '{"a": "b"}')
    assert fourth.path.endswith("/jobs/5_1")
    assert scnet.calls == {"list": 1, "delete": 1, "submit": 1, "detail": 1}
    scnet.requests.clear()
    assert not scnet.calls
