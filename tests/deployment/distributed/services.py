"""What a distributed Airflow needs beside itself: PostgreSQL and Redis, each a process of its own on loopback."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.deployment.components import free_ports

POSTGRES_BINARIES = Path("/usr/lib/postgresql")
"""Where Debian keeps those that are not on the PATH, in a folder for each version."""
PATIENCE = 60.0


class Services:
    """
    Both of them, on data folders that are thrown away.

    :param logs: where their logs go, and stay.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        # Not below pytest's folders, which nobody but their owner may enter.
        self._home = Path(tempfile.mkdtemp(prefix="scnet-services-"))
        self._home.chmod(0o755)
        self._postgres_port, self._redis_port = free_ports(2)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._databases = ["postgres"]
        try:
            self._start_postgres()
            self._start_redis()
        except BaseException as error:
            error.add_note(self._said())
            self.close()
            raise

    @property
    def database_url(self) -> str:
        """What SQLAlchemy connects to."""
        return self._url(self._databases[0])

    @property
    def broker_url(self) -> str:
        """What Celery connects to."""
        return f"redis://127.0.0.1:{self._redis_port}/0"

    def make_database(self, name: str) -> str:
        """Make another, empty database, and return what SQLAlchemy connects to."""
        subprocess.run([postgres_binary("createdb"), *self._postgres_address(), name], check=True)
        self._databases.append(name)
        return self._url(name)

    def kept(self) -> dict[str, bytes]:
        """All that they hold."""
        dump = [postgres_binary("pg_dump"), *self._postgres_address(), "--inserts"]
        database = b"".join(
            subprocess.run([*dump, name], check=True, capture_output=True).stdout for name in self._databases
        )
        # Bytes are dumped in hexadecimal digits.
        contents = b"".join(bytes.fromhex(found.decode()) for found in re.findall(rb"\\x((?:[0-9a-f]{2})+)", database))
        subprocess.run(["redis-cli", "-p", str(self._redis_port), "save"], check=True, capture_output=True)
        queue = (self._home / "redis" / "dump.rdb").read_bytes()
        return {"PostgreSQL": database, "bytes in PostgreSQL": contents, "Redis": queue}

    def close(self) -> None:
        """End them, and throw their data away."""
        for process in self._processes:
            process.kill()
            process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def _start_postgres(self) -> None:
        user = _user("postgres")
        data = self._folder("postgres", user)
        initdb = [postgres_binary("initdb"), "-D", data, "-U", "airflow", "--auth=trust", "--no-sync", "--no-locale"]
        with (self._logs / "initdb.log").open("wb") as log:
            subprocess.run([*initdb, "-E", "UTF8"], check=True, stdout=log, stderr=log, cwd=data, **user)
        # Nothing here has to survive a power cut, and every process of Airflow holds connections.
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options |= {"synchronous_commit": "off", "max_connections": "300"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._start(
            "postgres", [postgres_binary("postgres"), "-D", data, "-p", str(self._postgres_port), *settings], user
        )
        self._wait_for([postgres_binary("pg_isready"), *self._postgres_address()])

    def _start_redis(self) -> None:
        user = _user("redis")
        data = self._folder("redis", user)
        command = ["redis-server", "--port", str(self._redis_port), "--bind", "127.0.0.1"]
        self._start("redis", [*command, "--save", "", "--rdbcompression", "no", "--dir", data], user)
        self._wait_for(["redis-cli", "-p", str(self._redis_port), "ping"])

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg2://airflow@127.0.0.1:{self._postgres_port}/{database}"

    def _postgres_address(self) -> list[str]:
        return ["-h", "127.0.0.1", "-p", str(self._postgres_port), "-U", "airflow"]

    def _folder(self, name: str, user: dict[str, Any]) -> str:
        folder = self._home / name
        folder.mkdir(mode=0o700)
        if user:
            os.chown(folder, user["user"], user["group"])
        return str(folder)

    def _start(self, name: str, command: list[str], user: dict[str, Any]) -> None:
        with (self._logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._home, start_new_session=True, **user)
        self._processes.append(process)

    def _wait_for(self, command: list[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(command, capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError(self._said())
            time.sleep(0.1)

    def _said(self) -> str:
        logs = (self._logs / f"{name}.log" for name in ("initdb", "postgres", "redis"))
        return "\n".join(log.read_text(errors="replace") for log in logs if log.exists())


def what_is_missing() -> list[str]:
    """The programs that are not on this machine."""
    programs = {name: postgres_binary(name) for name in ("initdb", "postgres", "pg_isready", "pg_dump", "createdb")}
    programs |= {name: name for name in ("redis-server", "redis-cli")}
    return [name for name, path in programs.items() if not shutil.which(path)]


def postgres_binary(name: str) -> str:
    """Where one of PostgreSQL's programs is: Debian keeps the server's in a folder that is not on the PATH."""
    folders = sorted(POSTGRES_BINARIES.glob("*/bin"), key=lambda path: float(path.parent.name))
    return next((str(folder / name) for folder in reversed(folders) if (folder / name).exists()), name)


def _user(name: str) -> dict[str, Any]:
    """Whom to run as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(name)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
