"""The script language of the fake model. The last user message is the script.

    /say TEXT                 send TEXT
    /tokens N                 send N words of sample text
    /wait 500ms               pause
    /call NAME [ARGUMENTS]    call a tool; ARGUMENTS is sent unchanged; by default, the smallest value that fits
    /fail KIND [RETRY-AFTER]  fail like a provider: KIND is an HTTP status, or one of `fake_models.NAMED_FAILURES`
    /finish REASON            end with this finish_reason
    /then                     the rest is for the next step, after the tool results

A message is a script when its first line is a directive. The other lines of a script are sent as text.
"""

from __future__ import annotations

from dataclasses import dataclass

from config.errors import RequestRejected
from config.models.fake_models import NAMED_FAILURES, is_failure
from router.fake.sample_text import sample_pieces
from router.fake.timing import duration, token_count


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. `arguments` is the JSON text to send; None means the smallest value that fits the tool's schema."""

    name: str
    arguments: str | None = None


@dataclass(frozen=True, slots=True)
class Fail:
    """`kind` is a failure of `fake_failures`; `retry_after` is in seconds."""

    kind: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    reason: str


Action = Say | Wait | Call | Fail | Finish
MAX_SAMPLES = 16
"""How often a script may ask for sample text, which takes memory."""

DIRECTIVES = ("say", "tokens", "wait", "call", "fail", "finish", "then")


def read_script(message: str) -> list[list[Action]] | None:
    """The actions for each step of the turn; None when the message is not a script. Raises RequestRejected."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if not lines or _directive(lines[0]) is None:
        return None
    if sum(_directive(line) == "tokens" for line in lines) > MAX_SAMPLES:
        raise RequestRejected(f"the fake model's script: /tokens may stand in it {MAX_SAMPLES} times", status=400)
    steps: list[list[Action]] = [[]]
    for line in lines:
        directive = _directive(line)
        if directive == "then":
            steps.append([])
        else:
            _add(steps[-1], _action(directive, line))
    return steps


def _directive(line: str) -> str | None:
    word = line.partition(" ")[0]
    return word[1:] if word.startswith("/") and word[1:] in DIRECTIVES else None


def _add(actions: list[Action], action: Action) -> None:
    if isinstance(action, Say) and any(isinstance(earlier, Say) for earlier in actions):
        action = Say(" " + action.text)
    actions.append(action)


def _action(directive: str | None, line: str) -> Action:
    first, _, rest = line.partition(" ")
    rest = rest.strip()
    try:
        match directive:
            case "say":
                return Say(rest)
            case "tokens":
                return Say("".join(sample_pieces(token_count(rest))))
            case "wait":
                return Wait(duration(rest))
            case "call":
                return _call(rest)
            case "fail":
                return _fail(rest)
            case "finish":
                return Finish(rest or "stop")
    except ValueError as exc:
        raise RequestRejected(f"the fake model's script: {line!r}: {exc}", status=400) from exc
    if first.startswith("/"):
        known = ", ".join(f"/{each}" for each in DIRECTIVES)
        raise RequestRejected(f"the fake model's script: unknown directive {line!r}; known are {known}", status=400)
    return Say(line)


def _call(rest: str) -> Call:
    name, _, arguments = rest.partition(" ")
    if not name:
        raise ValueError("expected a tool's name")
    return Call(name, arguments.strip() or None)


def _fail(rest: str) -> Fail:
    kind, _, wait = rest.partition(" ")
    if not is_failure(kind):
        raise ValueError(f"unknown failure; known are {', '.join(NAMED_FAILURES)} and HTTP error statuses")
    return Fail(kind, duration(wait.strip()) if wait else None)
