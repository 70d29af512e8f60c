"""The start of a server process. Each test runs in a process of its own."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from uvicorn.config import STARTUP_FAILURE

from api.garbage_collection import THRESHOLD
from tests.support.server_process import STARTUP_TIMEOUT, running, server_in

ROOT = Path(__file__).parents[2]
MODELS = "model_list:\n  - {model_name: fast, litellm_params: {model: fake/echo}}\n"

OPTIONAL = ("redis", "psycopg", "alembic", "mcp", "numpy", "opentelemetry.exporter", "api.tracing.tracing")

LOADS_ONCE = """\
from pathlib import Path

loaded = Path(__file__).with_suffix(".loaded")
if loaded.exists():
    raise RuntimeError("again")
loaded.touch()


def ping() -> str:
    \"\"\"Answers.\"\"\"
    return "pong"
"""


def printed(code: str, directory: Path, **variables: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=directory)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a worker's process says of itself. It takes seconds to import the server, so that all tests ask one."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "models.yaml").write_text(MODELS)
    code = f"""
import asyncio, gc, json, socket, sys
from api.app_factory import create_app_from_environment
import api.app
imported = [name for name in {OPTIONAL} if name in sys.modules]
listener = socket.create_server(("127.0.0.1", 0))
listener.set_inheritable(True)  # as a worker gets it from its parent process
app = create_app_from_environment()
built = gc.isenabled()
async def states():
    async with app.router.lifespan_context(app):
        return built, gc.isenabled(), gc.get_freeze_count() > 100_000, gc.get_threshold()[0]
collects = asyncio.run(states())
print(json.dumps({{"imported": imported, "inherits": listener.get_inheritable(), "collects": collects}}))
"""
    return json.loads(printed(code, folder, SWITCHBOARD_API_TOKENS="token", SWITCHBOARD_WORKERS="2"))


def test_garbage_collection_is_off_during_imports_and_on_while_the_server_runs(worker: Any) -> None:
    assert worker["collects"] == [False, True, True, THRESHOLD]


@pytest.mark.parametrize(("workers", "collects"), [("1", "False"), ("2", "True")])
def test_the_command_line_turns_it_off_where_the_same_process_serves(
    workers: str, collects: str, tmp_path: Path
) -> None:
    (tmp_path / "models.yaml").write_text(MODELS)
    code = (
        "import gc\n"
        "from api import server\n"
        "server.serve = lambda *_: print(gc.isenabled())\n"
        "from api.cli import app\n"
        f"app(['serve', '--port', '0', '--workers', '{workers}'])"
    )
    said = printed(code, tmp_path, SWITCHBOARD_API_TOKENS="token", SWITCHBOARD_DATA_DIR="data")
    assert said.splitlines()[-1] == collects


def test_a_program_that_a_worker_starts_does_not_keep_the_port_of_a_server_that_was_killed(worker: Any) -> None:
    assert worker["inherits"] is False


def test_optional_dependencies_are_not_imported(worker: Any) -> None:
    assert worker["imported"] == []


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_server_that_cannot_start_ends_with_an_error(workers: int, tmp_path: Path) -> None:
    server = server_in(tmp_path / "server", agent={"tools": ["once:ping"]}, workers=workers)
    (server.folder / "once.py").write_text(LOADS_ONCE)  # the command line loads it, and then the server
    await server.begin()
    assert await server.ended() == STARTUP_FAILURE
    assert "once.py" in server.log


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_start_says_nothing_but_its_summary_once_the_server_answers(workers: int, tmp_path: Path) -> None:
    async with running(server := server_in(tmp_path / "server", workers=workers)):
        async with asyncio.timeout(STARTUP_TIMEOUT):
            while "Database" not in server.log:
                await asyncio.sleep(0.05)
        # Two workers may meet at the lock of the database, and then one says that it waits.
        first, *rows = (row for row in server.log.splitlines() if "waiting_for_migration" not in row)
    assert first.startswith("Switchboard ") and "is ready" in first
    assert f"http://127.0.0.1:{server.port}/docs" in rows[2]
    assert [row for row in rows if not row.startswith("  ")] == []
