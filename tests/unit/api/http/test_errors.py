from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from api.http import errors as api_errors
from api.http.errors import error_object, error_response, status_of
from config.errors import (
    AllDeploymentsFailed,
    AttemptError,
    CallerRateLimited,
    ConfigError,
    DeadlineExceeded,
    Problem,
    RateLimitReached,
    RequestError,
    SwitchboardError,
)

SHARED: dict[str, set[type[SwitchboardError]]] = {"rate_limit_exceeded": {RateLimitReached, CallerRateLimited}}
"""Codes that OpenAI's clients know, for whichever limit."""


def kinds(root: type[SwitchboardError] = SwitchboardError) -> Iterator[type[SwitchboardError]]:
    yield root
    for child in root.__subclasses__():
        yield from kinds(child)


def made(kind: type[SwitchboardError]) -> SwitchboardError:
    return kind([Problem("wrong")]) if issubclass(kind, ConfigError) else kind("Told.")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_a_code_of_its_own_and_openais_shape(kind: type[SwitchboardError]) -> None:
    error = made(kind)
    assert 400 <= status_of(error) < 600
    told = error_object(error)["error"]
    assert set(told) == {"message", "type", "param", "code"}
    assert told["code"] == kind.code
    assert {each for each in kinds() if each.code == kind.code} == SHARED.get(kind.code, {kind})


@pytest.mark.parametrize("kind", list(kinds(AttemptError)), ids=lambda kind: kind.__name__)
def test_what_a_provider_said_never_reaches_a_caller(kind: type[AttemptError]) -> None:
    error = kind("One attempt failed.", provider_text="Incorrect API key provided: sk-secret")
    assert b"sk-secret" not in bytes(error_response(error).body)


def test_the_time_to_come_back_is_a_header_in_whole_seconds() -> None:
    response = error_response(AllDeploymentsFailed("Later.", retry_after=1.2))
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize("error", [RequestError("No."), AllDeploymentsFailed("No."), DeadlineExceeded("No.")])
def test_what_a_repetition_cannot_mend_is_not_sent_again(error: SwitchboardError) -> None:
    assert error_response(error).headers["x-should-retry"] == "false"
    later = error_response(AllDeploymentsFailed("Later.", retry_after=1.2))
    assert "x-should-retry" not in later.headers


def test_a_rate_limit_is_a_429_as_openais_clients_read_it() -> None:
    response = error_response(RateLimitReached("Later.", retry_after=7.0))
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    error = orjson.loads(bytes(response.body))["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")


def test_who_is_refused_learns_which_scheme_to_use() -> None:
    response = error_response(api_errors.Unauthorized("Who?"))
    assert response.headers["www-authenticate"] == "Bearer"
    assert orjson.loads(bytes(response.body))["error"]["type"] == "authentication_error"
