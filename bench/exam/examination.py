"""The exam itself: the fake provider and the real server are started, every scenario is sat, everything is stopped."""

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
from bench.exam.profile import Profile
from bench.exam.scenario import KEY, Scenario, models_file
from bench.exam.sitting import Sitting, Verdict
from bench.processes import Running, free_port
from bench.servers import SWITCHBOARD
from router.fake.server.fake_provider import FakeProvider

PROVIDERS_WORDS = (
    "The server had an error while",
    "Rate limit reached for",
    "Incorrect API key",
    "maximum context length is",
    "rejected by the content filter",
    "Invalid value for",
    "you do not have access to it",
    "assistant message prefill",
    "It works!",
)
"""What the fake provider says in its refusals: for the log alone."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one scenario ended. Times are in seconds; `attempts` sums the headers, `asked` is what the providers saw."""

    name: str
    title: str
    verdict: Verdict
    attempts: int
    asked: int
    first: float | None
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """Where scenarios are sat: the provider, the server's process, its log and a client."""

    provider: FakeProvider
    process: Running
    log: Path
    http: httpx.AsyncClient


@asynccontextmanager
async def site(scenarios: Sequence[Scenario], profile: Profile) -> AsyncIterator[Site]:
    """Start both servers for these scenarios, stopped at the end of the block. Raises BenchFailed."""
    with tempfile.TemporaryDirectory(prefix="switchboard-exam-") as name:
        directory = Path(name)
        async with FakeProvider() as provider:
            nobody = f"http://127.0.0.1:{free_port()}/v1"
            written = models_file(scenarios, profile.router_settings(), provider.base_url, nobody)
            (directory / "models.yaml").write_text(yaml.safe_dump(written))
            async with SWITCHBOARD.serving(directory, frozenset(), {}) as serving:
                target = serving.target
                async with httpx.AsyncClient(
                    base_url=f"http://{target.host}:{target.port}",
                    headers={"Authorization": f"Bearer {target.token}"},
                    limits=httpx.Limits(max_connections=None),
                    timeout=None,
                ) as http:
                    yield Site(provider, serving.process, directory / f"switchboard-{target.port}.log", http)


async def examine(scenarios: Sequence[Scenario], profile: Profile) -> list[Result]:
    """Sit every scenario, several at once. Raises BenchFailed when the server does not start."""
    async with site(scenarios, profile) as at:
        seats = asyncio.Semaphore(profile.parallel)
        caller = Caller(at.http, profile.timeouts.turn_deadline + 5)
        sittings = [Sitting(each.name, profile, caller, at.provider) for each in scenarios]
        results = await asyncio.gather(*map(_sit, scenarios, sittings, [seats] * len(sittings)))
        return [*results, _secrets(sittings, at), _log(at)]


async def _sit(scenario: Scenario, sitting: Sitting, seats: asyncio.Semaphore) -> Result:
    async with seats:
        began = perf_counter()
        try:
            await scenario.sit(sitting)
        except TimeoutError:
            sitting.faults.append("the caller was left waiting")
        except httpx.TransportError as exc:
            sitting.faults.append(f"the connection to the caller broke: {type(exc).__name__}")
        seconds = perf_counter() - began
    heard = sitting.heard
    return Result(
        scenario.name,
        scenario.title,
        sitting.verdict,
        attempts=sum(each.attempts for each in heard),
        asked=len(sitting.log()),
        first=heard[0].first if heard else None,
        seconds=seconds,
        notes=(*sitting.faults, *sitting.slips),
    )


def _secrets(sittings: Sequence[Sitting], at: Site) -> Result:
    """Nothing that was heard in any scenario holds a provider's words, address or key."""
    secrets = (KEY, f":{at.provider.port}", *PROVIDERS_WORDS)
    found = tuple(
        f"{sitting.model}: the caller was told {secret!r}"
        for sitting in sittings
        for heard in sitting.heard
        for secret in secrets
        if secret in heard.raw.decode(errors="replace") or any(secret in value for value in heard.headers.values())
    )
    return _overall("secrets", "no provider's words, address or key in any answer", found)


def _log(at: Site) -> Result:
    text = at.log.read_text(errors="replace")
    found = ("the server's log has a traceback: " + text.partition("Traceback")[2][:2000],) * ("Traceback" in text)
    return _overall("log", "no traceback in the server's log, and no key", found + ("a key is in it",) * (KEY in text))


def _overall(name: str, title: str, faults: tuple[str, ...]) -> Result:
    return Result(name, title, "fail" if faults else "pass", 0, 0, None, 0.0, faults)
