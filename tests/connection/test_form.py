"""The connection form as Airflow reads it, in processes of its own: once read, it stays in memory."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import airflow
import pytest

from airflow_provider_scnet.api.transport import DEFAULT_TIMEOUT
from airflow_provider_scnet.connection.form import connection_form_widgets, ui_field_behaviour
from airflow_provider_scnet.get_provider_info import get_provider_info
from airflow_provider_scnet.hooks.scnet import ScnetHook

AIRFLOW_VERSION = tuple(int(part) for part in airflow.__version__.split(".")[:2])
CONNECTION_TYPE = get_provider_info()["connection-types"][0]
FIELDS = CONNECTION_TYPE["conn-fields"]
BEHAVIOUR = CONNECTION_TYPE["ui-field-behaviour"]

# What Airflow lists: the class before 3.2, the type since.
KINDS = {
    "access_key": ("PasswordField", "string"),
    "secret_key": ("PasswordField", "string"),
    "region": ("StringField", "string"),
    "scheduler_id": ("StringField", "string"),
    "user": ("StringField", "string"),
    "api_url": ("StringField", "string"),
    "platform_url": ("StringField", "string"),
    "timeout": ("IntegerField", "integer"),
    "verify": ("StringField", "string"),
    "allow_http": ("BooleanField", "boolean"),
}

# Flask-AppBuilder comes with Airflow 2.11 only, and Airflow 3.0 and 3.1 list no provider's field without it.
# It cannot be installed next to what we test with there, so its widgets, which we only pass on, are played.
STAND_IN = """
from wtforms.widgets import PasswordInput, TextArea, TextInput

class BS3PasswordFieldWidget(PasswordInput): pass
class BS3TextAreaFieldWidget(TextArea): pass
class BS3TextFieldWidget(TextInput): pass
"""

# The form as the user interface gets it.
READ_FORM = """
import json
try:
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
except ImportError:
    from airflow.providers_manager import ProvidersManager
    manager = ProvidersManager()
    behaviour = manager.field_behaviours["scnet"]
    form = {"hook_name": manager.hooks["scnet"].hook_name, "standard_fields": {}, "extra_fields": {}}
    for name in ("host", "port", "login", "password", "schema"):
        form["standard_fields"]["url_schema" if name == "schema" else name] = {
            "hidden": name in behaviour["hidden_fields"],
            "title": behaviour["relabeling"].get(name),
            "placeholder": behaviour["placeholders"].get(name),
        }
    for name, info in manager.connection_form_widgets.items():
        if name.startswith("extra__scnet__"):
            form["extra_fields"][info.field_name] = {
                "schema": {"title": info.field.args[0], "format": "password" if info.is_sensitive else None},
                "description": info.field.kwargs["description"],
            }
else:
    (form,) = [form for form in HookMetaService.hook_meta_data() if form.connection_type == "scnet"]
    form = form.model_dump()
print(json.dumps([form]))
"""

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def fieldwidgets(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The folder to add to the path, if Flask-AppBuilder is to be played."""
    if find_spec("flask_appbuilder"):
        return []
    folder = tmp_path_factory.mktemp("fab")
    (folder / "flask_appbuilder").mkdir()
    (folder / "flask_appbuilder" / "__init__.py").touch()
    (folder / "flask_appbuilder" / "fieldwidgets.py").write_text(STAND_IN)
    return [str(folder)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, fieldwidgets: list[str]) -> Run:
    """Run Python with arguments, and return the JSON that it prints; a warning about us is an error."""
    environ = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "PYTHONPATH": os.pathsep.join([*fieldwidgets, str(Path(__file__).parent.parent)]),
        "PYTHONWARNINGS": "always",
    }

    def run_python(*arguments: str) -> Any:
        done = subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, text=True)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert [line for line in output.splitlines() if "warn" in line.lower() and "scnet" in line.lower()] == []
        return next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("[{"))

    return run_python


@pytest.fixture
def wtforms(fieldwidgets: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """WTForms, with Flask-AppBuilder or what plays it."""
    for folder in fieldwidgets:
        monkeypatch.syspath_prepend(folder)
    yield importlib.import_module("wtforms")
    if fieldwidgets:
        for name in [name for name in sys.modules if name.partition(".")[0] == "flask_appbuilder"]:
            del sys.modules[name]


def test_airflow_lists_every_field(run: Run) -> None:
    listed = {
        field["connection_parameter_name"]: field["field_type"]
        for field in run("-m", "airflow", "providers", "widgets", "--verbose", "--output", "json")
        if field["package_name"] == "airflow-provider-scnet"
    }

    assert listed == {
        f"extra__scnet__{name}": [kind, "null"] if AIRFLOW_VERSION >= (3, 2) else field_class
        for name, (field_class, kind) in KINDS.items()
    }


def test_airflow_lists_the_behaviour_of_standard_fields(run: Run) -> None:
    listed = run("-m", "airflow", "providers", "behaviours", "--verbose", "--output", "json")

    assert "scnet" in [entry["field_behaviours"] for entry in listed]


def test_airflow_lists_the_hook(run: Run) -> None:
    listed = run("-m", "airflow", "providers", "hooks", "--verbose", "--output", "json")

    (hook,) = [hook for hook in listed if hook["connection_type"] == "scnet"]
    assert hook["hook_name"] == CONNECTION_TYPE["hook-name"] == ScnetHook.hook_name


def test_the_user_interface_gets_labels_and_help(run: Run) -> None:
    (form,) = run("-c", READ_FORM)

    assert form["hook_name"] == "SCNet"
    assert form["standard_fields"]["url_schema"]["hidden"] is True
    for name, label in BEHAVIOUR["relabeling"].items():
        shown = form["standard_fields"][name]
        assert (shown["title"], shown["placeholder"]) == (label, BEHAVIOUR["placeholders"][name])
    assert list(form["extra_fields"]) == list(FIELDS)
    for name, field in FIELDS.items():
        shown = form["extra_fields"][name]
        assert (shown["schema"]["title"], shown["description"]) == (field["label"], field["description"])
        assert (shown["schema"].get("format") == "password") == (name in ("access_key", "secret_key"))


def test_an_untouched_form_is_valid(wtforms: Any) -> None:
    form = type("UntouchedForm", (wtforms.Form,), connection_form_widgets())()

    assert form.validate(), form.errors
    assert {name: type(form[name]).__name__ for name in KINDS} == {name: kind for name, (kind, _) in KINDS.items()}
    assert form.allow_http.data is False


@pytest.mark.parametrize("missing", ["flask_appbuilder", "wtforms"])
def test_no_fields_without_what_draws_them(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    assert connection_form_widgets() == {}


def test_the_hook_hands_out_the_form() -> None:
    assert list(ScnetHook.get_connection_form_widgets()) == list(connection_form_widgets())
    assert ScnetHook.get_ui_field_behaviour() == ui_field_behaviour()


def test_behaviour_in_the_keys_of_the_hook() -> None:
    assert ui_field_behaviour() == {name.replace("-", "_"): value for name, value in BEHAVIOUR.items()}


def test_only_fields_that_there_are_have_labels_and_placeholders() -> None:
    standard = {"host", "port", "login", "password"}

    assert set(BEHAVIOUR["relabeling"]) == standard
    assert set(BEHAVIOUR["placeholders"]) <= standard | set(FIELDS)
    assert list(FIELDS) == list(KINDS)


def test_defaults_in_the_help_are_the_real_ones() -> None:
    assert FIELDS["timeout"]["description"].endswith(f"Empty: {DEFAULT_TIMEOUT:g}")


def test_the_form_may_not_change_by_accident() -> None:
    get_provider_info()["connection-types"][0]["conn-fields"].clear()

    assert get_provider_info()["connection-types"][0]["conn-fields"] == FIELDS
