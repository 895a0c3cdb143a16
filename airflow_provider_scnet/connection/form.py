"""The connection form as Airflow < 3.2 wants it from the hook, made of the provider's metadata."""

from __future__ import annotations

from typing import Any

from airflow_provider_scnet.get_provider_info import get_provider_info


def connection_form_widgets() -> dict[str, Any]:
    """Return the form's own fields by name; none where Flask-AppBuilder, which draws them, is not installed."""
    try:
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from wtforms import BooleanField, IntegerField, PasswordField, StringField
        from wtforms.validators import Optional
    except ModuleNotFoundError:
        return {}

    def widget(label: str, description: str, schema: dict[str, Any]) -> Any:
        kind, _ = schema["type"]
        if kind == "boolean":
            return BooleanField(label, description=description, default=schema["default"])
        if kind == "integer":
            return IntegerField(label, [Optional()], description=description, widget=BS3TextFieldWidget())
        if schema.get("format") == "password":
            return PasswordField(label, [Optional()], description=description, widget=BS3PasswordFieldWidget())
        return StringField(label, [Optional()], description=description, widget=BS3TextFieldWidget())

    return {name: widget(**field) for name, field in _connection_type()["conn-fields"].items()}


def ui_field_behaviour() -> dict[str, Any]:
    """Return which standard fields are hidden, their labels, and the placeholders."""
    behaviour = _connection_type()["ui-field-behaviour"]
    return {
        "hidden_fields": behaviour["hidden-fields"],
        "relabeling": behaviour["relabeling"],
        "placeholders": behaviour["placeholders"],
    }


def _connection_type() -> dict[str, Any]:
    (connection_type,) = get_provider_info()["connection-types"]
    return dict(connection_type)
