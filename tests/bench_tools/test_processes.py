import asyncio
import sys
import time
from pathlib import Path

import pytest

from bench.processes import RunningProcess, cpu_time

WORKING = """
import time
while time.process_time() < 0.2:
    pass
print("done", flush=True)
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the CPU time of another process")
async def test_the_cpu_time_is_that_of_the_other_process():
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKING, stdin=pipe, stdout=pipe)
    await process.stdout.readline()
    taken = RunningProcess(process.pid, 0.0, Path("unused")).cpu()
    own = time.process_time()
    while time.process_time() < own + 0.05:
        pass
    assert taken >= 0.2
    assert cpu_time(process.pid) - taken < 0.04
    process.stdin.write(b"\n")
    await process.wait()
    assert cpu_time(process.pid) == 0.0
