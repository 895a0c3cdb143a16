"""The stages of a deletion."""

from __future__ import annotations

import pytest

from airflow_provider_scnet.jobs.stages import Stage


@pytest.mark.parametrize("stage", Stage)
def test_stages_are_told_apart(stage: Stage) -> None:
    assert stage.value
    assert not stage.is_settled or stage.is_final
