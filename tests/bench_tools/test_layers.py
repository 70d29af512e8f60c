import asyncio
import json
import logging.handlers
import signal
import time

import pytest
import structlog
import uvicorn._compat

import agent.graph
import api.http.sse
import api.log
import router.failover
import router.lanes.openai_lane
from bench import sampler
from bench.layers import LOOP, OTHER, OWN_PATHS, inside_event_loop, layer_of, layers_in, own_layer
from bench.profile import CpuProfile
from bench.servers import ROOT

BASE = [uvicorn._compat.__file__, uvicorn.server.__file__, "/usr/local/bin/switchboard"]
LANE, AGENT, STDLIB = router.lanes.openai_lane.__file__, agent.graph.__file__, json.__file__
GRAPH = f"{uvicorn.__file__.rpartition('/uvicorn/')[0]}/langgraph/pregel/main.py"


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        (LANE, "lane"),
        (router.failover.__file__, "router"),
        (AGENT, "agent"),
        (api.http.sse.__file__, "api"),
        (api.log.__file__, "logging"),
        (structlog.__file__, "logging"),
        (logging.handlers.__file__, "logging"),
        (GRAPH, "LangGraph"),
        (uvicorn.server.__file__, "uvicorn: HTTP in and out"),
        (pytest.__file__, OTHER),
        (STDLIB, None),
        ("<string>", None),
    ],
)
def test_a_file_belongs_to_a_layer(file, layer):
    assert layer_of(file) == layer


def test_every_path_of_the_table_exists():
    assert not [path for path in OWN_PATHS if not (ROOT / path).exists()]


def test_own_time_belongs_to_the_innermost_frame():
    assert own_layer([GRAPH, AGENT]) == "LangGraph"
    assert own_layer([AGENT, GRAPH]) == "agent"


def test_the_time_of_the_standard_library_counts_for_its_caller():
    assert own_layer([STDLIB, STDLIB, LANE, AGENT]) == "lane"


def test_frames_outside_the_event_loop_are_left_out():
    assert inside_event_loop([LANE, AGENT, *BASE]) == [LANE, AGENT]
    assert inside_event_loop([LANE, asyncio.runners.__file__, asyncio.runners.__file__, *BASE[1:]]) == [LANE]
    assert own_layer(inside_event_loop(BASE)) == LOOP


def test_a_profile_counts_each_layer_once_in_a_stack():
    found = CpuProfile.of([([LANE, AGENT, LANE, *BASE], 3), ([AGENT, *BASE], 1)], ms_per_turn=4.0)
    assert found.own == {"lane": 3, "agent": 1}
    assert found.cumulative == {"lane": 3, "agent": 4}
    assert layers_in([LANE, STDLIB]) == {"lane"}


def test_the_sampler_records_the_running_code(tmp_path):
    file = tmp_path / "samples.json"
    kept = {number: signal.getsignal(number) for number in (signal.SIGPROF, signal.SIGUSR1, signal.SIGUSR2)}
    try:
        sampler.Sampler(file).install()
        signal.raise_signal(signal.SIGUSR1)
        end = time.process_time() + 0.2
        while time.process_time() < end:
            json.dumps([1, 2, 3])
        signal.raise_signal(signal.SIGUSR2)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    stacks = json.loads(file.read_text())
    assert sum(samples for _, samples in stacks) >= 10
    assert all(__file__ in files for files, _ in stacks)
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
