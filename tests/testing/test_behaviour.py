from __future__ import annotations

import re
from dataclasses import fields

from airflow_provider_scnet.testing.behaviour import Behaviour, finds_name


def test_every_knob_is_described() -> None:
    described = re.findall(r":param (\w+): \S", Behaviour.__doc__ or "")
    assert described == [knob.name for knob in fields(Behaviour)]


def test_nothing_odd_happens_unless_it_is_asked_for() -> None:
    usual = Behaviour()
    assert (usual.latency, usual.cancel_delay, usual.page_cap, usual.total_lie) == (0.0, 0.0, None, None)
    assert not any((usual.numeric_ids, usual.raw_state_in_lists, usual.null_empty_lists, usual.new_tokens_revoke))
    assert not any((usual.submit_lag, usual.lagging_deletes, usual.view_age, usual.blank_lists, usual.code_lead))
    assert (usual.list_cap, usual.largest_limit, usual.requeue_after) == (None, None, None)
    assert all((usual.has_history, usual.history_lag == 0.0, usual.words_in_details, usual.word_style == "long"))


def test_filters_for_names() -> None:
    usual, fuzzy = Behaviour(), Behaviour(name_filter="fuzzy")
    assert [finds_name(usual, wanted, "demo_1") for wanted in (None, "", "demo_1", "demo", "x")] == [True] * 3 + [
        False
    ] * 2
    assert [finds_name(fuzzy, wanted, "demo_1") for wanted in (None, "", "mo_", "demo", "x")] == [True] * 4 + [False]
