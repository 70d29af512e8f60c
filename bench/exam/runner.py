"""Runs an exam: starts the fake provider and the real server, runs all scenarios, checks for leaks."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import httpx
import yaml

from bench.exam.caller import Caller
from bench.exam.profile import ExamProfile
from bench.exam.scenario import KEY, Scenario, models_file
from bench.exam.scenario_run import ScenarioRun, Verdict
from bench.processes import free_port
from bench.servers import SWITCHBOARD
from router.fake.server.fake_provider import FakeProvider

PROVIDER_ERROR_TEXTS = (
    "The server had an error while",
    "Rate limit reached for",
    "Incorrect API key",
    "your messages resulted in",
    "rejected by the content filter",
    "Invalid value for",
    "you do not have access to it",
    "assistant message prefill",
    "It works!",
)
"""Error texts of the fake provider; they may appear only in the log."""


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The result of one scenario.

    attempts: sum of the x-switchboard-attempts headers.
    requests: number of requests that the provider received.
    first_token: time to first token of the first turn, in seconds.
    seconds: duration of the scenario.
    notes: failures and warnings.
    """

    name: str
    title: str
    verdict: Verdict
    attempts: int
    requests: int
    first_token: float | None
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExamServers:
    """The running fake provider, a client of the running server, and the server's log file."""

    provider: FakeProvider
    http: httpx.AsyncClient
    log_file: Path


@asynccontextmanager
async def exam_servers(scenarios: Sequence[Scenario], profile: ExamProfile) -> AsyncIterator[ExamServers]:
    """Start both servers and stop them at the end of the block. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="switchboard-exam-") as name:
        directory = Path(name)
        async with FakeProvider() as provider:
            refusing_url = f"http://127.0.0.1:{free_port()}/v1"
            models = models_file(scenarios, profile.router_settings(), provider.base_url, refusing_url)
            (directory / "models.yaml").write_text(yaml.safe_dump(models))
            async with (
                SWITCHBOARD.run(directory, frozenset(), {}) as server,
                server.client() as http,
            ):
                yield ExamServers(provider, http, server.process.log_file)


async def run_exam(scenarios: Sequence[Scenario], profile: ExamProfile) -> list[ScenarioResult]:
    """Run the scenarios, several at a time. Raises BenchError if the server does not start."""
    async with exam_servers(scenarios, profile) as servers:
        slots = asyncio.Semaphore(profile.parallel)
        caller = Caller(servers.http, profile.timeouts.turn_deadline + 5)
        runs = [ScenarioRun(each.name, profile, caller, servers.provider) for each in scenarios]
        results = await asyncio.gather(
            *(_run_scenario(scenario, run, slots) for scenario, run in zip(scenarios, runs, strict=True))
        )
        return [*results, _check_answers_for_leaks(runs, servers), _check_log(servers)]


async def _run_scenario(scenario: Scenario, run: ScenarioRun, slots: asyncio.Semaphore) -> ScenarioResult:
    async with slots:
        start = perf_counter()
        try:
            await scenario.check(run)
        except TimeoutError:
            run.failures.append("the answer did not end")
        except httpx.TransportError as exc:
            run.failures.append(f"the connection to the caller broke: {type(exc).__name__}")
        seconds = perf_counter() - start
    return ScenarioResult(
        scenario.name,
        scenario.title,
        run.verdict,
        attempts=sum(each.attempts for each in run.answers),
        requests=len(run.requests()),
        first_token=run.answers[0].first_token if run.answers else None,
        seconds=seconds,
        notes=(*run.failures, *run.warnings),
    )


def _check_answers_for_leaks(runs: Sequence[ScenarioRun], servers: ExamServers) -> ScenarioResult:
    """No answer contains a provider's error text, address or key."""
    secrets = (KEY, f":{servers.provider.port}", *PROVIDER_ERROR_TEXTS)
    leaks = tuple(
        f"{run.model}: the answer contains {secret!r}"
        for run in runs
        for answer in run.answers
        for secret in secrets
        if secret in answer.raw.decode(errors="replace") or any(secret in value for value in answer.headers.values())
    )
    return _overall_result("secrets", "no provider's words, address or key in any answer", leaks)


def _check_log(servers: ExamServers) -> ScenarioResult:
    """The server's log has no traceback and no key."""
    text = servers.log_file.read_text(errors="replace")
    failures = []
    if "Traceback" in text:
        failures.append("the server's log has a traceback: " + text.partition("Traceback")[2][:2000])
    if KEY in text:
        failures.append("the server's log has a key")
    return _overall_result("log", "no traceback in the server's log, and no key", tuple(failures))


def _overall_result(name: str, title: str, failures: tuple[str, ...]) -> ScenarioResult:
    return ScenarioResult(name, title, "fail" if failures else "pass", 0, 0, None, 0.0, failures)
