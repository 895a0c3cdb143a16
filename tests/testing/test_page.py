from __future__ import annotations

import requests


def test_the_page_lists_all_jobs(scnet):
    scnet.add_job("CANCELLED", name="<b>old</b>", ended_ago=10_000)
    scnet.add_job("PENDING", user="bob", job_id="5_1")
    response = requests.get(scnet.url + "/", timeout=10)
    assert response.headers["Content-Type"] == "text/html;charset=UTF-8"
    for text in ("5_1", "bob", "PENDING", "1638523853", "CANCELLED", "&lt;b&gt;old", "1 of 2", "refresh"):
        assert text in response.text
    assert scnet.token not in response.text
    assert scnet.requests == []
