from __future__ import annotations

import inspect
import re
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_scnet.jobs.options import DeleteOptions, seconds
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator


def test_the_operator_has_these_options_and_no_defaults_of_its_own() -> None:
    parameters = inspect.signature(ScnetDeleteJobsOperator.__init__).parameters
    for option in fields(DeleteOptions):
        assert parameters[option.name].default == option.default


@pytest.mark.parametrize(("value", "number"), [(1, 1.0), (0.5, 0.5), (timedelta(minutes=2), 120.0)])
def test_seconds(value: Any, number: float) -> None:
    assert seconds("timeout", value) == number


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", "300"),
        ("timeout", float("nan")),
        ("timeout", float("inf")),
        ("timeout", timedelta(0)),
        ("poll_interval", 0),
        ("poll_interval", None),
        ("poll_interval", True),
        ("batch_size", 0),
        ("batch_size", 1.5),
        ("batch_size", True),
    ],
)
def test_option_that_cannot_be_is_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name}={re.escape(repr(value))}"):
        DeleteOptions(**{name: value})
