"""Sends generated requests to every operation of the OpenAPI document, and checks the answers, with schemathesis."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import schemathesis
from schemathesis.engine import Status, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from bench.fuzz.target import FuzzTarget

CHECKS: Final = Path(__file__).with_name("checks.toml")

RIGHT: Final[tuple[tuple[str, bytes], ...]] = (
    # The request's own `timeout` passed.
    ("not_a_server_error", rb'"code":"deadline_exceeded"|"type":"timeout_error"'),
    # Without a carrier's secret, phone lines are off for whoever has no token.
    ("ignored_auth", rb'"code":"phone_line_off"'),
    # A body above the size limit is refused for its size.
    ("negative_data_rejection", rb"The body is larger than"),
    # No schema names the models and tools of this server.
    ("positive_data_acceptance", rb"no model here|unknown (?:MCP )?tool|is listed twice|dimensions"),
    # No schema can relate one field to another.
    ("positive_data_acceptance", rb"answers no tool call|Several tools have|not one of the request's tools"),
    ("positive_data_acceptance", rb"tool_choice|allowed_tools|function_call"),
    ("positive_data_acceptance", rb"No tool call found|Item with id|message.output_text.logprobs"),
    # Only a response in the background could be cancelled or streamed again.
    ("positive_data_acceptance", rb"a synchronous response|cannot be streamed"),
    # No schema has a pattern for all characters that cannot be printed, or for all but the ids.
    ("positive_data_acceptance", rb"printable characters|must not look like an id"),
    # Near 2**63, the checker of schemas takes two numbers for the same.
    ("positive_data_acceptance", rb"seed: Input should be"),
    # The parser of JSON takes less depth than the strategies make.
    ("positive_data_acceptance", rb"levels deep"),
)
"""Answers that a check takes for a fault, by what their body says, and why they are right."""

LONG_TEXT: Final = 10_000

Phase = Literal["examples", "coverage", "fuzzing", "stateful"]
PHASES: Final[tuple[Phase, ...]] = ("examples", "coverage", "fuzzing", "stateful")


@dataclass(frozen=True, slots=True)
class Fault:
    """What a check found, and a command that shows it. Faults with one title at one operation are the same."""

    check: str
    operation: str
    title: str
    details: str = field(default="", compare=False)
    command: str = field(default="", compare=False)


@dataclass(slots=True)
class Findings:
    """What was sent and answered. `statuses` and `cases` count by operation, such as "GET /health"."""

    cases: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)

    def add(self, other: Findings) -> None:
        self.cases += other.cases
        self.statuses += other.statuses
        self.faults += other.faults


@dataclass(frozen=True, slots=True)
class Plan:
    """How to generate. `max_examples` is for one operation in one phase; the run goes on until `cases` are sent.

    `stream_events` is the number of events after which a stream is cut; longer ones are hung up.
    """

    cases: int
    seed: int
    phases: tuple[Phase, ...] = PHASES
    max_examples: int = 100
    stream_events: int = 10_000
    deterministic: bool = False
    include: tuple[str, ...] = ()
    """Paths; empty for all."""


def fuzz_operations(target: FuzzTarget, plan: Plan, progress: Callable[[int], None] = lambda _: None) -> Findings:
    """Run `plan`. Blocks. `progress` gets the number of cases so far."""
    config = schemathesis.Config.from_dict(_config(target, plan))
    document = httpx.get(f"{target.url}/openapi.json", headers=target.headers, timeout=60).json()
    schema = schemathesis.openapi.from_dict(_without_large_limits(document), config=config)
    if plan.include:
        schema = schema.include(path=list(plan.include))
    findings = Findings()
    stream = from_schema(schema).execute()
    for event in stream:
        match event:
            case events.ScenarioFinished(recorder=recorder):
                _record(recorder, findings)
                progress(findings.cases.total())
                if findings.cases.total() >= plan.cases:
                    stream.stop()
            case events.NonFatalError(value=error, label=label):
                findings.faults[Fault("run", label, type(error).__name__, str(error))] += 1
            case events.FatalError(exception=error):
                raise error
    return findings


def _config(target: FuzzTarget, plan: Plan) -> dict[str, Any]:
    config = tomllib.loads(CHECKS.read_text())
    config["generation"] |= {"max-examples": plan.max_examples, "deterministic": plan.deterministic}
    for name in PHASES:
        config["phases"].setdefault(name, {})["enabled"] = name in plan.phases
    return config | {
        "seed": plan.seed,
        "base-url": target.url,
        "headers": target.headers,
        "max-stream-events": plan.stream_events,
        "max-time": 24 * 3600,  # with a limit, the phases that generate at random are repeated until it is reached
    }


def _without_large_limits(value: Any) -> Any:
    """The document without limits for long texts: a text with a limit and a pattern takes 0.1 s to generate."""
    if isinstance(value, list):
        return [_without_large_limits(each) for each in value]
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key != "maxLength" or each < LONG_TEXT}
        return {key: _without_large_limits(each) for key, each in kept.items()}
    return value


def _record(recorder: ScenarioRecorder, findings: Findings) -> None:
    for case_id, interaction in recorder.interactions.items():
        operation = recorder.cases[case_id].value.operation.label
        findings.cases[operation] += 1
        if interaction.response is not None:
            findings.statuses[operation, interaction.response.status_code] += 1
    findings.faults.update(_faults(recorder))


def _faults(recorder: ScenarioRecorder) -> Iterator[Fault]:
    for case_id, checks in recorder.checks.items():
        operation = recorder.cases[case_id].value.operation.label
        for check in checks:
            if check.status is Status.FAILURE and (found := check.failure_info) is not None:
                if _is_right(check.name, recorder, case_id):
                    continue
                yield Fault(check.name, operation, found.failure.title, found.failure.message, found.code_sample)


def _is_right(check: str, recorder: ScenarioRecorder, case_id: str) -> bool:
    response = recorder.find_response(case_id=case_id)
    body = response.content if response else b""
    return any(name == check and re.search(words, body) for name, words in RIGHT)
