from __future__ import annotations

from dataclasses import MISSING, fields

import pytest

from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.options import option, parser, plain_knobs
from airflow_provider_scnet.testing.tokens import TokenOffice

WITHOUT_OPTION = {"scripts", "total_lie"}
"""Knobs whose values cannot be written in a shell."""


def test_every_knob_with_a_plain_value_has_its_option():
    assert {knob.name for knob in plain_knobs()} == {knob.name for knob in fields(Behaviour)} - WITHOUT_OPTION


def test_nothing_is_chosen_unless_it_is_asked_for():
    options = parser().parse_args([])
    for knob in plain_knobs():
        default = knob.default if knob.default is not MISSING else knob.default_factory()
        assert getattr(options, knob.name) == default


def test_the_help_says_what_the_docstring_says():
    text = " ".join(parser().format_help().split())
    for knob in plain_knobs():
        assert option(knob.name) in text
    assert "whole: a refused job makes its whole batch fail; partial: only itself (default: whole)" in text
    assert "REVOKED or RECONFIG_FAIL; None for never (default: none)" in text
    assert "--platform-entry {first,middle,last,none}" in text
    assert "--first-page {0,1}" in text


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("--latency 0.5", "latency", 0.5),
        ("--refusal partial", "refusal", "partial"),
        ("--page-cap 10", "page_cap", 10),
        ("--page-cap none", "page_cap", None),
        ("--queues a,b", "queues", {"a", "b"}),
        ("--numeric-ids", "numeric_ids", True),
        ("--no-has-history", "has_history", False),
        ("--platform-entry none", "platform_entry", None),
        ("--platform-entry middle", "platform_entry", "middle"),
        ("--blank-lists null", "blank_lists", "null"),
        ("--stopped-code 10008", "stopped_code", "10008"),
        ("--word-style short", "word_style", "short"),
        ("--first-page 0", "first_page", 0),
        ("--requeue-after 5", "requeue_after", 5.0),
        ("--port 0", "port", 0),
        ("--jobs 7", "jobs", 7),
        ("--seed 一", "seed", "一"),
        ("--token-lifetime 60", "token_lifetime", 60.0),
    ],
)
def test_values(given, name, value):
    assert getattr(parser().parse_args(given.split()), name) == value


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (["--port", "65536"], "argument --port: '65536' is not a whole number from 0 to 65535"),
        (["--port", "x"], "argument --port: 'x' is not a whole number from 0 to 65535"),
        (["--jobs", "-1"], "argument --jobs: '-1' is not a whole number from 0 to 1000000000"),
        (["--latency", "nan"], "argument --latency: 'nan' is not a number from 0 to 1000000000"),
        (["--latency", "-0.1"], "argument --latency: '-0.1' is not a number from 0 to 1000000000"),
        (["--page-cap", "1.5"], "argument --page-cap: '1.5' is not a whole number from 0 to 1000000000, nor none"),
        (["--refusal", "none"], "argument --refusal: 'none' is not one of whole, partial"),
        (["--platform-entry", "x"], "argument --platform-entry: 'x' is not one of first, middle, last, nor none"),
        (["--queues", "a,,b"], "argument --queues: it must not be empty"),
        (["--seed", " "], "argument --seed: it must not be empty"),
        (["--token-lifetime", "0"], "argument --token-lifetime: '0' is less than a second"),
        (["--token", "a.b"], "argument --token: it is no JWT, which has three parts of letters"),
        (["--seed", "a", "--token", "a.b.c"], "argument --token: it is no JWT: its second part is no JSON object"),
        (["--lat", "1"], "unrecognized arguments: --lat 1"),
    ],
)
def test_bad_values_name_the_option(capsys, given, error):
    with pytest.raises(SystemExit) as exit:
        parser().parse_args(given)
    assert exit.value.code == 2
    assert f"error: {error}" in capsys.readouterr().err


def test_a_token_and_a_seed_exclude_each_other(clock, capsys):
    token = TokenOffice(clock, "alice", "acexample01", "11112", 3600).mint()
    with pytest.raises(SystemExit):
        parser().parse_args(["--seed", "a", "--token", token])
    err = capsys.readouterr().err
    assert "argument --token: not allowed with argument --seed" in err
    assert token not in err
