"""The client of the API: paths, and errors for people."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import orjson
import pytest
import respx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.terminal.agent_api import AgentApi, ApiError, ConnectionLost, NotServed

URL = "http://127.0.0.1:1"


class Pieces(httpx.SyncByteStream):
    """A body that arrives in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def api() -> AgentApi:
    return AgentApi(f"{URL}/", "secret")


def refusal(status: int, code: str, message: str = "No.") -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message, "code": code, "param": "args", "type": "t"}})


def test_the_parts_of_a_path_are_quoted(respx_mock: respx.MockRouter) -> None:
    route = respx_mock.get(url__eq=f"{URL}/agent/status/a%3Fb/%E4%B8%8A%20x").respond(json={"status": "idle"})
    assert api().get("agent", "status", "a?b", "上 x") == {"status": "idle"}
    assert route.calls[0].request.headers["authorization"] == "Bearer secret"


def test_a_refusal_has_the_servers_words_and_field(respx_mock: respx.MockRouter) -> None:
    respx_mock.post(f"{URL}/agent/resume").mock(refusal(400, "invalid_request", "unknown argument stars"))
    with pytest.raises(ApiError, match="unknown argument stars") as caught:
        api().post("agent", "resume", body={})
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_request", "args")


def test_a_route_that_is_missing_is_told_from_a_thing_that_is_missing(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{URL}/agent/task/x").mock(refusal(404, "not_found"))
    respx_mock.get(f"{URL}/agent/task/y").mock(refusal(404, "task_not_found"))
    with pytest.raises(NotServed):
        api().get("agent", "task", "x")
    with pytest.raises(ApiError) as caught:
        api().get("agent", "task", "y")
    assert not isinstance(caught.value, NotServed)


def test_a_proxy_without_its_server_is_a_lost_connection(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{URL}/agent").respond(502, html="<h1>Bad Gateway</h1>")
    with pytest.raises(ConnectionLost, match="502"):
        api().get("agent")


def test_a_server_that_is_not_switchboard_is_told_in_words(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{URL}/agent").respond(200, html="<h1>Hello</h1>")
    respx_mock.get(f"{URL}/agents").respond(404, html="<h1>Not here</h1>")
    with pytest.raises(ApiError, match="Check --url"):
        api().get("agent")
    with pytest.raises(ApiError, match="answered 404"):
        api().get("agents")


@pytest.mark.parametrize(
    ("error", "sent"),
    [(httpx.ConnectError("no"), False), (httpx.ReadError("no"), True), (httpx.RemoteProtocolError("no"), True)],
)
def test_a_lost_connection_says_whether_the_request_may_have_arrived(
    respx_mock: respx.MockRouter, error: Exception, sent: bool
) -> None:
    respx_mock.post(f"{URL}/agent/invoke").mock(side_effect=error)
    with pytest.raises(ConnectionLost) as caught:
        api().post("agent", "invoke", body={})
    assert caught.value.sent is sent


def test_events_are_read_without_the_comments(respx_mock: respx.MockRouter) -> None:
    respx_mock.post(f"{URL}/agent/invoke/stream").respond(text=': keep-alive\n\ndata: {"type": "x"}\n\n')
    assert list(api().events("POST", "agent", "invoke", "stream", body={})) == [{"type": "x"}]


def test_numbered_events_go_on_after_the_last_one(respx_mock: respx.MockRouter) -> None:
    route = respx_mock.get(f"{URL}/agent/task/t1/events").respond(text='id: 8\ndata: {"type": "x"}\n\n')
    events = api().events("GET", "agent", "task", "t1", "events", after="7")
    assert list(events) == [{"type": "x", "event_id": "8"}]
    assert route.calls[0].request.headers["last-event-id"] == "7"


@pytest.fixture(scope="module")
def client() -> AgentApi:
    return api()


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(max_size=20) | st.sampled_from(["a\u2028b", "\x85", "\r\n", "data: x"]), max_size=4),
    size=st.integers(1, 40),
)
def test_events_are_read_whatever_is_in_them_and_however_they_are_split(
    respx_mock: respx.MockRouter, client: AgentApi, texts: list[str], size: int
) -> None:
    sent = b"".join(b"id: 1\ndata: " + orjson.dumps({"content": each}) + b"\n\n: keep-alive\n\n" for each in texts)
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    respx_mock.get(f"{URL}/agent").mock(return_value=httpx.Response(200, stream=Pieces(pieces)))
    assert [each["content"] for each in client.events("GET", "agent")] == texts


@pytest.mark.parametrize("payload", ["{", "[]", "null", "\xff"])
def test_an_event_that_is_no_json_is_a_lost_connection(respx_mock: respx.MockRouter, payload: str) -> None:
    respx_mock.get(f"{URL}/agent").respond(content=b"data: " + payload.encode("latin-1") + b"\n\n")
    with pytest.raises(ConnectionLost, match="not JSON"):
        list(api().events("GET", "agent"))
