"""*Add Connection* of Airflow 3.3 in a real browser: `make test-ui`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_scnet.get_provider_info import get_provider_info
from airflow_provider_scnet.testing import ScnetEmulator

if TYPE_CHECKING:
    from tests.ui.conftest import Page

CONNECTION_TYPE = get_provider_info()["connection-types"][0]
FIELDS = CONNECTION_TYPE["conn-fields"]
BEHAVIOUR = CONNECTION_TYPE["ui-field-behaviour"]
STANDARD = BEHAVIOUR["relabeling"]
DIALOG = "//*[@role='dialog']"

TOKEN = "region-token-example-0001"
ACCESS_KEY = "ak-example-0001"
SECRET_KEY = "sk-example-0001"


def field(name: str) -> str:
    """Where a field is: ours have a prefix."""
    return f"//*[@role='dialog']//*[@name='{name}' or @name='element_{name}']"


def open_section(page: Page, title: str, first: str) -> None:
    """Unfold a section of the form, which folds the other one."""
    page.click(f"//*[@role='dialog']//button[normalize-space()='{title}']")
    page.find(first)


def add_connection(page: Page, conn_id: str) -> None:
    page.click("//button[contains(., 'Add Connection')]")
    page.type(field("connection_id"), conn_id)
    page.find("//*[@role='dialog']//input[@role='combobox']").send_keys("SCNet")
    page.click("//*[@role='option'][.='SCNet']")
    page.find(field("host"))


def edit_connection(page: Page, conn_id: str) -> None:
    page.click(f"//tr[contains(., '{conn_id}')]//button[@aria-label='Edit Connection']")
    page.find(field("host"))


def save(page: Page) -> None:
    page.click("//*[@role='dialog']//button[normalize-space()='Save']")
    page.wait(lambda: not page.all("//*[@role='dialog']"), "the form to close")


def test_the_form_explains_itself(page: Page) -> None:
    add_connection(page, "scnet_default")

    for name, label in STANDARD.items():
        assert page.find(field(name)).get_attribute("placeholder") == BEHAVIOUR["placeholders"][name]
        assert page.find(f"//label[.='{label}']")
    assert page.find(field("password")).get_attribute("type") == "password"
    assert page.all(field("schema")) == []
    page.take_picture(DIALOG, "connection-form.png")

    open_section(page, "Extra Fields", field("access_key"))
    for name, shown in FIELDS.items():
        row = f"//*[@data-scope='field' and @data-part='root'][.//*[@name='element_{name}']]"
        assert page.find(f"{row}//label").text == shown["label"]
        assert page.find(f"{row}//*[@data-part='helper-text']").text == shown["description"]
        assert (page.all(field(name))[0].get_attribute("type") == "password") == (name in ("access_key", "secret_key"))
    page.take_picture(DIALOG, "connection-form-extra.png")


def test_every_value_is_stored_and_no_secret_is_shown(page: Page) -> None:
    standard = {"host": "https://hpc.example", "port": "65051", "login": "alice", "password": TOKEN}
    extra = {
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "region": "11112",
        "scheduler_id": "1638523853",
        "user": "acexample01",
        "api_url": "https://api.example",
        "platform_url": "https://platform.example:8443",
        "timeout": "45",
        "verify": "/etc/ssl/certs/ca.pem",
    }
    add_connection(page, "scnet_filled")
    for name, value in standard.items():
        page.type(field(name), value)
    open_section(page, "Extra Fields", field("access_key"))
    for name, value in extra.items():
        page.type(field(name), value)
    page.click("//*[@data-scope='switch' and @data-part='control']")
    save(page)

    stored = page.airflow.connection("scnet_filled")
    assert {name: stored[name] for name in standard} == {**standard, "port": 65051}
    assert stored["conn_type"] == "scnet"
    assert stored["extra"] == {**extra, "timeout": 45, "allow_http": True}

    page.browser.refresh()
    edit_connection(page, "scnet_filled")
    page.type(field("description"), "looked at again")
    assert page.find(field("host")).get_attribute("value") == "https://hpc.example"
    assert secrets_in(page) == set()
    open_section(page, "Extra Fields", field("access_key"))
    assert page.find(field("region")).get_attribute("value") == "11112"
    assert secrets_in(page) == set()
    open_section(page, "Extra Fields JSON", "//*[@role='dialog']//*[contains(@class, 'view-line')][contains(., '***')]")
    assert secrets_in(page) == set()
    save(page)

    assert page.airflow.connection("scnet_filled") == {**stored, "description": "looked at again"}


def test_what_airflow_stores_for_untouched_fields(page: Page) -> None:
    add_connection(page, "scnet_untouched")
    open_section(page, "Extra Fields", field("access_key"))
    page.type(field("region"), "11112")
    page.type(field("region"), "")
    save(page)

    stored = page.airflow.connection("scnet_untouched")
    assert {stored[name] for name in STANDARD} == {None}
    assert stored["extra"] == {**dict.fromkeys(FIELDS), "allow_http": False}


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_the_test_button(page: Page, good: bool) -> None:
    with ScnetEmulator(schedulers={"1638523853": "Cluster"}) as scnet:
        token = scnet.mint_token()
        if not good:
            scnet.revoke(token)
        host, _, port = scnet.url.rpartition(":")
        conn_id = f"scnet_{'good' if good else 'bad'}"
        add_connection(page, conn_id)
        for name, value in {"host": host, "port": port, "password": token}.items():
            page.type(field(name), value)
        save(page)
        page.browser.refresh()

        page.click(f"//tr[contains(., '{conn_id}')]//button[@aria-label='Test Connection']")
        toast = page.find("//*[@data-scope='toast' and @data-part='root'][contains(., 'Test Connection')]")

        assert scnet.calls
        if good:
            assert "Test Connection Successful" in toast.text
            assert "1638523853 (Cluster)" in toast.text
        else:
            assert "Test Connection Failed" in toast.text
            assert "10008" in toast.text
        assert [secret for secret in scnet.secrets if secret in page.content] == []


def secrets_in(page: Page) -> set[str]:
    content = page.content
    return {secret for secret in (TOKEN, ACCESS_KEY, SECRET_KEY) if secret in content}
