"""The wheel works by itself: in a fresh virtual environment, in an empty folder, far from the repository."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.log_watch import WATCH

ROOT = Path(__file__).parents[2]
PACKAGES = ("config", "router", "agent", "api")
FILES = ("pyproject.toml", "README.md", "LICENSE", "models.yaml", ".env.example")
NOT_SERVED = {"__pycache__", "vendor_build"}
"""Folders that the program does not read: the latter builds assets of the console."""
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
"""Without PYTHONPATH, which leads to the repository, and without settings."""


def run(*command: str | Path, cwd: Path) -> str:
    ran = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, because setuptools leaves files in the source."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns(*NOT_SERVED))
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", built, ".", cwd=source)
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of a new environment with the wheel, and with the dependencies of this one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    commands = folder / "bin"
    pip = (sys.executable, "-m", "pip", "--python", commands / "python", "install", "--no-index", "--no-deps")
    run(*pip, wheel, cwd=folder)
    packages = run(commands / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    Path(packages.strip(), "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return commands


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    files = (file for name in PACKAGES for file in (ROOT / name).rglob("*") if file.is_file())
    expected = {str(file.relative_to(ROOT)) for file in files if not NOT_SERVED & {*file.parts}}
    with zipfile.ZipFile(wheel) as archive:
        assert expected <= set(archive.namelist())
        assert archive.read("config/starter/models.yaml") == (ROOT / "models.yaml").read_bytes()
        assert not [name for name in archive.namelist() if name.startswith(("tests", "bench")) or name.endswith(".env")]


@pytest.fixture
def folder(installed: Path, tmp_path: Path) -> Path:
    """An empty folder, in which `switchboard init` has run."""
    assert run(installed / "python", "-c", "import api; print(api.__file__)", cwd=tmp_path).startswith(
        str(installed.parent)
    )
    said = run(installed / "switchboard", "init", cwd=tmp_path)
    assert said.startswith("wrote    models.yaml\nwrote    agent.yaml\nwrote    .env\n")
    return tmp_path


@pytest.fixture
def url(installed: Path, folder: Path) -> Iterator[str]:
    """The address of the server, which its summary says."""
    log = folder / "log"
    WATCH.follow(log)
    with log.open("w") as out:
        command = [installed / "switchboard", "serve", "--port", "0"]
        server = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=out, stderr=out)
    try:
        end = time.monotonic() + 60
        while "Database" not in log.read_text():
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield log.read_text().partition("Console")[2].split()[0].rstrip("/")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def test_a_server_starts_from_what_init_writes_and_serves_everything(folder: Path, url: str) -> None:
    (token,) = (
        line for line in (folder / ".env").read_text().splitlines() if line.startswith("SWITCHBOARD_API_TOKENS=")
    )
    headers = {"Authorization": f"Bearer {token.partition('=')[2]}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30) as http:
        assert http.get("/health/ready").json() == {"status": "ready"}
        assert http.get("/", headers={"Accept": "text/html"}).text.startswith("<!doctype html>")
        assert "swagger" in http.get("/docs/swagger-ui-bundle.js").text
        turn = http.post("/agent/invoke", json={"user_id": "ada", "query": "Hello."}).json()
    assert turn["status"] == "completed" and (folder / "data/switchboard.db").exists()
