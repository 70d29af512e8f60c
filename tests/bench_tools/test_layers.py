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
from bench import sampled
from bench.layers import LOOP, OTHER, in_loop, layer_of, layers_in, own_layer
from bench.profile import Profile

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


def test_time_is_that_of_the_innermost_frame():
    assert own_layer([GRAPH, AGENT]) == "LangGraph"
    assert own_layer([AGENT, GRAPH]) == "agent"


def test_the_standard_library_works_for_whoever_calls_it():
    assert own_layer([STDLIB, STDLIB, LANE, AGENT]) == "lane"


def test_what_the_loop_did_not_call_is_left_out():
    assert in_loop([LANE, AGENT, *BASE]) == [LANE, AGENT]
    assert in_loop([LANE, asyncio.runners.__file__, asyncio.runners.__file__, *BASE[1:]]) == [LANE]
    assert own_layer(in_loop(BASE)) == LOOP


def test_a_profile_counts_each_layer_once_in_a_stack():
    found = Profile.of([([LANE, AGENT, LANE, *BASE], 3), ([AGENT, *BASE], 1)], per_turn=4.0)
    assert found.own == {"lane": 3, "agent": 1}
    assert found.inside == {"lane": 3, "agent": 4}
    assert layers_in([LANE, STDLIB]) == {"lane"}


def test_the_sampler_meets_what_is_running(tmp_path):
    file = tmp_path / "samples.json"
    kept = {number: signal.getsignal(number) for number in (signal.SIGPROF, signal.SIGUSR1, signal.SIGUSR2)}
    try:
        sampled.Sampler(file).install()
        signal.raise_signal(signal.SIGUSR1)
        until = time.process_time() + 0.2
        while time.process_time() < until:
            json.dumps([1, 2, 3])
        signal.raise_signal(signal.SIGUSR2)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    stacks = json.loads(file.read_text())
    assert sum(times for _, times in stacks) >= 10
    assert all(__file__ in files for files, _ in stacks)
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
