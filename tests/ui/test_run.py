"""A run of an example DAG in the pages of Airflow 3.3: `make test-ui`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from airflow_provider_scnet.testing import ScnetEmulator

if TYPE_CHECKING:
    from tests.ui.conftest import Airflow, Page

DAG_ID, RUN_ID = "scnet_simulation", "example"
COMPONENTS = ("dag-processor", "scheduler", "triggerer")
STATES = {
    "submit": "success",
    "wait": "failed",
    "evaluate": "upstream_failed",
    "publish": "upstream_failed",
    "delete_jobs": "success",
}
GRAPH = "//*[@data-testid='rf__wrapper']"
LOG = "//*[@data-testid='virtualized-list']"
LOW_WINDOW = (1100, 560)
"""In which a graph of one row leaves little empty."""


@pytest.fixture(scope="module")
def run(webserver: Airflow) -> Iterator[str]:
    """The address of a run that has ended: its simulation failed, and nothing is left of it."""
    with ScnetEmulator() as scnet:
        webserver.run("dags", "reserialize")
        for component in COMPONENTS:
            webserver.start(component, AIRFLOW_CONN_SCNET_DEFAULT=scnet.connection())
        webserver.run("dags", "trigger", DAG_ID, "--run-id", RUN_ID)
        # The job has ended when the sensor looks first: whether it defers is not left to the machine's speed.
        webserver.wait_for(lambda: scnet.jobs, "the job to be submitted")
        scnet.clock.advance(60)
        assert webserver.wait_for_run(DAG_ID, RUN_ID) == "failed"
        assert [job.state for job in scnet.jobs] == ["FAILED"]
        yield f"{webserver.url}/dags/{DAG_ID}/runs/{RUN_ID}"
        webserver.stop(*COMPONENTS)


@pytest.fixture
def low_window(page: Page) -> Iterator[None]:
    usual = page.browser.get_window_size()
    page.browser.set_window_size(*LOW_WINDOW)
    yield
    page.browser.set_window_size(usual["width"], usual["height"])


def test_graph_shows_what_became_of_each_task(page: Page, run: str, low_window: None) -> None:
    page.browser.get(run)
    page.click("//button[starts-with(@aria-label, 'Show Graph')]")
    page.click("//button[@aria-label='Collapse Details Panel']")

    for task_id, state in STATES.items():
        assert page.find(f"//*[@data-testid='rf__node-{task_id}']//*[normalize-space()='{state}']")

    page.click("//button[contains(@class, 'react-flow__controls-fitview')]")
    page.wait_until_still(f"{GRAPH}//*[@data-testid='rf__node-submit']")
    page.browser.execute_script("document.querySelector('.react-flow__minimap').style.display = 'none'")  # covers tasks
    page.take_picture(GRAPH, "run-graph.png")


def test_log_of_a_failed_simulation_holds_its_tail(page: Page, run: str) -> None:
    page.browser.get(f"{run}/tasks/wait")
    for setting in ("timestamp", "wrap"):
        page.click("//button[@data-testid='log-settings-button']")
        page.click(f"//*[@role='menuitem'][@data-value='{setting}']")

    log = page.find(f"{LOG}[contains(., 'Task failed')]").text
    assert log.index("step 2: residual nan, giving up") < log.index("step 1: residual 0.3") < log.index("Task failed")
    assert "reason NonZeroExitCode, exit code 3:0" in log

    # The frames below hold paths of the machine.
    page.click(f"{LOG}//summary[contains(., 'ScnetJobFailedError')]")
    page.wait(lambda: "task_runner.py" not in page.find(LOG).text, "the frames to be folded")
    page.wait_until_still(f"{LOG}//summary")
    page.take_picture(LOG, "failed-log.png")
