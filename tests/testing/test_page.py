from __future__ import annotations

import re

import pytest
import requests

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.page import View, page


@pytest.fixture
def look(scnet):
    """Fetch the page."""

    def get(query: str = "") -> str:
        response = requests.get(f"{scnet.url}/{query}", timeout=10)
        assert response.headers["Content-Type"] == "text/html;charset=UTF-8"
        return response.text

    return get


def rows(text: str) -> list[list[str]]:
    """The cells of the jobs on a page."""
    table = text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [re.findall(r"<td>(.*?)</td>", line) for line in table.split("</tr>") if "<td>" in line]


def requests_on(text: str) -> list[list[str]]:
    return rows(text.partition("Last requests")[2])


def link(text: str, label: str) -> str:
    (found,) = re.findall(rf'<a href="/([^"]*)">{re.escape(label)}</a>', text)
    return found.replace("&amp;", "&")


def test_the_page_lists_all_jobs(scnet, look):
    scnet.add_job("CANCELLED", name="<b>old</b>", ended_ago=10_000)
    scnet.add_job("PENDING", user="bob", job_id="5_1")
    text = look()
    for part in ("5_1", "bob", "PENDING", "1638523853", "CANCELLED", "&lt;b&gt;old", "1 of 2", "refresh"):
        assert part in text
    assert [row[0] for row in rows(text)] == ["5_1", "101"]
    assert "older" not in text
    assert scnet.token not in text
    assert scnet.requests == []


def test_how_many_deletes_have_named_a_job(scnet, look, delete):
    job = scnet.add_job()
    job.ignores_delete = True
    for _ in range(3):
        delete(job.ref)
    (row,) = rows(look())
    assert row[4:6] == ["RUNNING", "3"]


def test_by_state(scnet, look):
    for state in ("PENDING", "RUNNING", "RUNNING", "CANCELLED"):
        scnet.add_job(state)
    text = look()
    assert "<b>all (4)</b>" in text
    for label, ids in {
        "active (3)": ["103", "102", "101"],
        "RUNNING (2)": ["103", "102"],
        "CANCELLED (1)": ["104"],
    }.items():
        filtered = look(link(text, label))
        assert [row[0] for row in rows(filtered)] == ids
        assert f"<b>{label}</b>" in filtered
        assert "3 of 4 jobs active" in filtered
    nothing = look("?state=<i>")
    assert (rows(nothing), "<b>&lt;i&gt; (0)</b>" in nothing) == ([], True)


def test_by_name_with_a_form_that_is_not_taken_away(scnet, look):
    for name in ("flow-1", "flow-2", 'a"b&<c>', "模拟"):
        scnet.add_job(name=name)
    form = look(link(look("?state=RUNNING"), "Filter by name"))
    assert "refresh" not in form
    assert '<input type="hidden" name="state" value="RUNNING">' in form
    filtered = look("?state=RUNNING&name=flow")  # what the form sends
    assert [row[3] for row in rows(filtered)] == ["flow-2", "flow-1"]
    assert "RUNNING (2)" in filtered
    assert "refresh" in filtered
    assert 'name="name" value="flow"' in look(link(filtered, "change"))
    assert len(rows(look(link(filtered, "all names")))) == 4
    odd = look("?name=a%22b%26%3C&state=")
    assert [row[3] for row in rows(odd)] == ["a&quot;b&amp;&lt;c&gt;"]
    assert "Name contains <b>a&quot;b&amp;&lt;</b>" in odd
    assert 'value="a&quot;b&amp;&lt;"' in look(link(odd, "change"))
    assert [row[3] for row in rows(look("?name=模"))] == ["模拟"]


def test_two_hundred_at_a_time(scnet, look):
    for _ in range(450):
        scnet.add_job(name="many")
    text = look("?name=many")
    ids = [row[0] for row in rows(text)]
    assert (ids[0], len(ids)) == ("550", 200)
    assert "1–200 of 450" in text
    assert "newer" not in text
    older = look(link(text, "older"))
    oldest = look(link(older, "older"))
    assert [row[0] for row in rows(oldest)] == [str(number) for number in range(150, 100, -1)]
    assert "401–450 of 450" in oldest
    assert ">older<" not in oldest
    assert rows(look(link(oldest, "newer"))) == rows(older)


@pytest.mark.parametrize("skip", ["-1", "x", "²", "9" * 30, "1000"])
def test_places_that_do_not_exist(scnet, look, skip):
    scnet.add_job()
    assert len(rows(look(f"?skip={skip}"))) == (skip != "1000")


def test_the_last_requests(scnet, look, call, delete):
    call("GET", "/cluster?x=secret")
    delete(scnet.add_job().ref, token="wrong")
    scnet.fail("unknown", drop=True)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{scnet.url}/<i>", timeout=10)
    text = look()
    assert [row[:4] for row in requests_on(text)] == [
        ["unknown", "GET", "/%3Ci%3E", "none"],
        ["delete", "DELETE", "/hpc/openapi/v2/jobs", "200, code 10008"],
        ["clusters", "GET", "/hpc/openapi/v2/cluster", "200, code 0"],
    ]
    assert all(re.fullmatch(r"\d+ s", row[4]) for row in requests_on(text))
    assert "secret" not in text
    for _ in range(30):
        call("GET", "/cluster")
    assert len(requests_on(look())) == 20


def test_answers_that_are_held_or_no_envelopes(scnet, look, begin, until):
    scnet.fail("unknown", status=502, body="<h1>")
    requests.get(f"{scnet.url}/nosuch", timeout=10)
    fault = scnet.fail("unknown", hold=True)
    begin(requests.get, f"{scnet.url}/nosuch", timeout=10)
    until(lambda: fault.held)
    assert [row[3] for row in requests_on(look())] == ["held, then 404, code 404", "502"]
    fault.release()


def test_no_secret_is_shown_wherever_it_stands(scnet, look):
    secrets = scnet.secrets | {scnet.token}
    for secret in secrets:
        scnet.add_job(name=f"x{secret}")
        requests.get(f"{scnet.url}/{secret}", headers={"signature": "abc123"}, timeout=10)
        requests.get(f"{scnet.url}/abc123", timeout=10)
        text = look(f"?name={secret}&state={secret}") + look(f"?name={secret}&edit=1") + look()
        for hidden in (*secrets, "abc123"):
            assert hidden not in text
        assert "x***" in text


def test_age_of_requests():
    with ScnetEmulator() as scnet:
        requests.get(f"{scnet.url}/nosuch", timeout=10)
        last = scnet._dispatcher.last
    ages = {-5: "0 s", 0: "0 s", 119.4: "119 s", 120: "2 min", 7199: "119 min", 7200: "2 h"}
    for seconds, age in ages.items():
        text = page(View(), [], last, last[0].moment + seconds, set())
        assert requests_on(text)[0][4] == age
