import asyncio
import json
import sys

from bench.servers import ROOT


async def test_a_quick_run_measures_the_real_server_and_stops_what_it_started(tmp_path):
    command = (sys.executable, "-m", "bench", "--quick", "--out", str(tmp_path))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode() + stdout.decode()
    report = json.loads((tmp_path / "bench.json").read_text())
    figures = {figure["name"]: figure["values"] for figure in report["figures"]}
    assert figures["streamed turns, unpaced, 8 callers"]["switchboard"]["value"] > 0
    assert figures["first token added, 1 caller, p50"]["switchboard"]["value"] > 0
    assert report["lost"] == {"provider": 0, "switchboard": 0, "floor": 0}
    assert report["memory"]["switchboard"][-1][0] == 64
    assert set(report["throughput"]["floor"]) == {"1", "8"}
    assert {file.name for file in tmp_path.glob("*.png")} == {"first-token.png", "throughput.png", "memory.png"}
    assert b"streamed turns, unpaced, 8 callers" in stdout


async def test_a_server_that_does_not_start_is_reported_with_its_log(tmp_path):
    program = """
import asyncio, sys
from bench.plan import QUICK
from bench.run import run_benchmark
from bench.servers import Server
broken = Server("broken", (sys.executable, "-c", 'raise SystemExit("no keys here")'), (), "/health")
asyncio.run(run_benchmark(QUICK, [broken], print))
"""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT, stdout=pipe, stderr=pipe)
    _, stderr = await process.communicate()
    assert process.returncode == 1
    assert b"did not start" in stderr
    assert b"no keys here" in stderr
