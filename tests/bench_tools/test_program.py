import asyncio
import os
import sys

import pytest

from bench.servers import ROOT

MEASURING = """
import asyncio, sys, tempfile
from pathlib import Path
from bench import program
from bench.processes import BenchError, free_port, run_process

async def measuring():
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with tempfile.TemporaryDirectory() as folder:
        async with run_process(command, env={}, cwd=Path(folder), cores=frozenset(), port=port, health="/") as server:
            print(server.pid, flush=True)
            if sys.argv[1] == "fails":
                raise BenchError("the reason")
            await asyncio.sleep(60 if sys.argv[1] == "waits" else 0)
    return 7

sys.exit(program.run_program(measuring()))
"""


async def started(how):
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MEASURING, how, cwd=ROOT, stdout=pipe, stderr=pipe
    )
    return process, int(await process.stdout.readline())


@pytest.mark.parametrize(("how", "status", "said"), [("ends", 7, b""), ("fails", 2, b"the reason\n")])
async def test_a_measurement_ends_with_its_status(how, status, said):
    process, server = await started(how)
    assert (await process.communicate())[1] == said
    assert process.returncode == status
    assert is_gone(server)


async def test_a_measurement_that_is_stopped_leaves_no_server_behind():
    process, server = await started("waits")
    assert not is_gone(server)
    process.terminate()
    assert (await process.communicate())[1] == b"stopped\n"
    assert process.returncode == 130
    assert is_gone(server)


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
