"""A real Airflow, and a real browser to look at it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import airflow
import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
START_TIMEOUT = 180
RUN_TIMEOUT = 300
LOOK_TIMEOUT = 30
IMAGES = PROJECT / "docs" / "images"


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """These tests are slow and need a browser: they run only where this folder is named, see `make test-ui`."""
    paths = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(path.is_relative_to(HERE) for path in paths) else True


def missing(what: str) -> NoReturn:
    """Skip, unless the tests have to run."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{what} Without it Airflow's pages are not tested.", pytrace=False)
    pytest.skip(what)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    return ports


def settings(home: Path, url: str, log_ports: list[int]) -> dict[str, str]:
    """Airflow's, for an instance that shares nothing with others on the machine."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API_AUTH__JWT_SECRET": "only for this test " * 5,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(log_ports[0]),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_ports[1]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
    }


class Airflow:
    """
    Airflow's API server with a database of its own, and the example DAGs.

    :param home: an empty folder.
    """

    def __init__(self, home: Path) -> None:
        port, *log_ports = free_ports(3)
        self.url = f"http://127.0.0.1:{port}"
        self._home = home
        self._environ = {**os.environ, **settings(home, self.url, log_ports)}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        shutil.copytree(PROJECT / "example_dags", home / "dags", ignore=shutil.ignore_patterns("demo.py"))
        self.run("db", "migrate")
        self.start("api-server", "--host", "127.0.0.1", "--port", str(port))
        self._wait_for_the_server()

    def _wait_for_the_server(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self._processes["api-server"].poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/api/v2/version", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        self.stop()
        pytest.fail(f"airflow api-server did not start:\n{self.log('api-server')}", pytrace=False)

    def start(self, component: str, *arguments: str, **environ: str) -> None:
        """Start one of Airflow's processes."""
        with (self._home / f"{component}.log").open("wb") as log:
            self._processes[component] = subprocess.Popen(
                [sys.executable, "-m", "airflow", component, *arguments],
                env={**self._environ, **environ},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self, *components: str) -> None:
        """Stop some of the processes, or all."""
        stopped = [self._processes.pop(component) for component in components or list(self._processes)]
        for process in stopped:
            process.terminate()
        for process in stopped:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, component: str) -> str:
        """What a process has said."""
        return (self._home / f"{component}.log").read_text(errors="replace")

    def run(self, *arguments: str) -> None:
        """Run `airflow` on the command line."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments], env=self._environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def wait_for_run(self, dag_id: str, run_id: str) -> str:
        """Wait until a run has ended; return its state."""
        with urllib.request.urlopen(f"{self.url}/auth/token", timeout=LOOK_TIMEOUT) as answer:
            token = json.load(answer)["access_token"]
        run = urllib.request.Request(
            f"{self.url}/api/v2/dags/{dag_id}/dagRuns/{run_id}", headers={"Authorization": f"Bearer {token}"}
        )

        def state() -> str:
            with urllib.request.urlopen(run, timeout=LOOK_TIMEOUT) as answer:
                return json.load(answer)["state"]

        self.wait_for(lambda: state() in ("success", "failed"), "the run to end")
        return state()

    def wait_for(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for what the processes do; without it, fail with what they have said."""
        deadline = time.monotonic() + RUN_TIMEOUT
        while time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.2)
        logs = "\n".join(f"=== {component}\n{self.log(component)}" for component in self._processes)
        pytest.fail(f"Waited in vain for {what}:\n{logs}", pytrace=False)

    def connection(self, conn_id: str) -> dict[str, Any]:
        """Return a stored Connection, `extra` decoded."""
        file = self._home / "connections.json"
        self.run("connections", "export", str(file), "--file-format", "json")
        connection = json.loads(file.read_text())[conn_id]
        return {**connection, "extra": json.loads(connection["extra"])}


class Page:
    """
    What the browser shows. Everything is waited for, and found by XPath.

    :param browser: the browser.
    :param airflow: the Airflow that it looks at.
    """

    def __init__(self, browser: Chrome, airflow: Airflow) -> None:
        self.browser = browser
        self.airflow = airflow

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """
        Wait until a condition is true, and return its value.

        :param condition: it may stumble over what is not there yet, or moves, or is covered.
        :param what: what is waited for, for the message.
        """
        from selenium.common import exceptions
        from selenium.webdriver.support.ui import WebDriverWait

        stumbles = [
            exceptions.ElementClickInterceptedException,
            exceptions.ElementNotInteractableException,
            exceptions.StaleElementReferenceException,
        ]
        return WebDriverWait(self.browser, LOOK_TIMEOUT, 0.1, stumbles).until(lambda _: condition(), what)

    def all(self, xpath: str) -> list[WebElement]:
        """Return the elements that there are now, visible or not."""
        return self.browser.find_elements("xpath", xpath)

    def find(self, xpath: str) -> WebElement:
        """Return the first visible element."""
        found = self.wait(lambda: [element for element in self.all(xpath) if element.is_displayed()], xpath)
        return found[0]

    def click(self, xpath: str) -> None:
        """Click on something that is enabled."""

        def clicked() -> bool:
            element = self.find(xpath)
            if element.is_enabled():
                element.click()
                return True
            return False

        self.wait(clicked, f"click on {xpath}")

    def type(self, xpath: str, text: str) -> None:
        """Replace the text of an input."""
        from selenium.webdriver.common.keys import Keys

        element = self.find(xpath)
        element.send_keys(Keys.CONTROL, "a")
        element.send_keys(text or Keys.DELETE)
        self.wait(lambda: element.get_attribute("value") == text, f"text in {xpath}")

    def wait_until_still(self, xpath: str) -> None:
        """Wait until something has been in the same place twice in a row."""
        places: list[dict[str, Any]] = []

        def still() -> bool:
            places.append(self.find(xpath).rect)
            return places[-2:-1] == places[-1:]

        self.wait(still, f"{xpath} to be still")

    def take_picture(self, xpath: str, name: str) -> None:
        """Renew a picture of the guides, if asked to: `SCNET_SCREENSHOT=1 make test-ui`."""
        if os.environ.get("SCNET_SCREENSHOT") == "1":
            self.find(xpath).screenshot(str(IMAGES / name))

    @property
    def content(self) -> str:
        """All that a user, or a script in the page, can read here."""
        values = [element.get_attribute("value") for element in self.all("//input | //textarea")]
        return "\n".join([self.browser.page_source, *filter(None, values)])


@pytest.fixture(scope="session")
def new_airflow() -> None:
    if tuple(int(part) for part in airflow.__version__.split(".")[:2]) < (3, 3):
        pytest.skip(f"The pages of Airflow 3.3 are tested; this is {airflow.__version__}.")


@pytest.fixture(scope="session")
def webserver(new_airflow: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    server = Airflow(tmp_path_factory.mktemp("ui"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser(new_airflow: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    for name, program in programs.items():
        if program is None:
            missing(f"There is no {name}; on Debian: apt-get install chromium chromium-driver.")
    try:
        from selenium import webdriver
    except ImportError:
        missing("There is no Selenium; it is in the dependency group `ui`.")

    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--lang=en-US",
        "--window-size=1100,2000",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    chrome = webdriver.Chrome(options, webdriver.ChromeService(programs["chromedriver"]))
    yield chrome
    chrome.quit()


@pytest.fixture
def page(browser: Chrome, webserver: Airflow) -> Page:
    """The list of connections, as somebody sees it who comes for the first time."""
    browser.get(f"{webserver.url}/connections")
    browser.execute_script("localStorage.clear()")
    browser.refresh()
    return Page(browser, webserver)
