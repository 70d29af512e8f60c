import asyncio
import json

import httpx
import openai
import pytest
import uvloop

from router.fake.sample_text import ANSWER
from router.fake.server.behaviours import BEHAVIOURS
from router.fake.server.connection import MAX_BODY
from router.fake.server.fake_provider import FakeProvider, serve

IMPATIENT = httpx.Timeout(30, read=0.5)
MULTIPLY = {
    "type": "function",
    "function": {
        "name": "multiply",
        "parameters": {
            "type": "object",
            "properties": {"first_number": {"type": "integer", "minimum": 6}, "second_number": {"enum": [7]}},
            "required": ["first_number", "second_number"],
        },
    },
}


@pytest.fixture
async def provider():
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def client(provider):
    async with httpx.AsyncClient(base_url=provider.base_url, timeout=30) as client:
        yield client


def body(model, *, stream=True, messages=({"role": "user", "content": "Hello there"},), **more):
    return {"model": model, "stream": stream, "messages": list(messages), **more}


async def ask(client, model, **more):
    return await client.post("/chat/completions", json=body(model, **more))


def events(text):
    """The data of each event; broken JSON stays text."""
    for line in text.splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            try:
                yield json.loads(line[6:])
            except ValueError:
                yield line[6:]


def choices(text):
    return [event["choices"][0] for event in events(text) if isinstance(event, dict) and event.get("choices")]


def spoken(text):
    return "".join(choice["delta"].get("content") or "" for choice in choices(text))


def finish(text):
    return [choice["finish_reason"] for choice in choices(text) if choice["finish_reason"]]


# Whole answers


async def test_an_answer_is_streamed_in_thirty_two_chunks(client):
    response = await ask(client, "fake-ok")
    assert response.headers["content-type"] == "text/event-stream"
    assert spoken(response.text) == ANSWER
    assert len([choice for choice in choices(response.text) if choice["delta"].get("content")]) == 32
    assert choices(response.text)[0]["delta"] == {"role": "assistant", "content": ""}
    assert finish(response.text) == ["stop"]
    assert response.text.endswith("data: [DONE]\n\n")
    assert len({event["id"] for event in events(response.text)}) == 1


async def test_two_answers_have_different_ids(client):
    first, second = [next(events((await ask(client, "fake-ok")).text))["id"] for _ in range(2)]
    assert first != second


async def test_each_event_is_an_http_chunk_of_its_own(client):
    async with client.stream("POST", "/chat/completions", json=body("fake-ok")) as response:
        chunks = [chunk async for chunk in response.aiter_raw()]
    assert len(chunks) == 1 + 32 + 1 + 1
    assert all(chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") for chunk in chunks)


async def test_an_answer_can_be_had_whole(client):
    answer = (await ask(client, "fake-ok", stream=False)).json()
    assert answer["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
    ]
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 32, "total_tokens": 34}


async def test_usage_is_streamed_only_when_asked_for(client):
    without = (await ask(client, "fake-ok")).text
    with_usage = (await ask(client, "fake-ok", stream_options={"include_usage": True})).text
    assert "usage" not in without
    last = list(events(with_usage))[-1]
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 34


async def test_the_pace_is_part_of_the_name(client):
    response = await ask(client, "fake-ok?first=1ms&gap=1ms&tokens=64")
    assert len(spoken(response.text).split()) == 64
    assert len([choice for choice in choices(response.text) if choice["delta"].get("content")]) == 64
    whole = await ask(client, "fake-ok?first=1ms&gap=1ms&tokens=64", stream=False)
    assert whole.json()["choices"][0]["message"]["content"] == spoken(response.text)


async def test_max_tokens_ends_the_answer(client):
    response = await ask(client, "fake-ok?tokens=10", max_tokens=3)
    assert (spoken(response.text), finish(response.text)) == ("Good morning and", ["length"])


async def test_a_prefill_is_continued(client):
    prefilled = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ANSWER[:30]}]
    assert spoken((await ask(client, "fake-ok", messages=prefilled)).text) == ANSWER[30:]


async def test_the_openai_client_is_content(provider):
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="any") as client:
        hello = [{"role": "user", "content": "Hi"}]
        stream = await client.chat.completions.create(model="fake-ok", messages=hello, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        whole = await client.chat.completions.create(model="fake-ok", messages=hello)
        names = [model.id async for model in client.models.list()]
    assert text == whole.choices[0].message.content == ANSWER
    assert names == list(BEHAVIOURS)


# Failures before the answer


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("fake-429", 429, "rate_limit_exceeded"),
        ("fake-503", 503, None),
        ("fake-context", 400, "context_length_exceeded"),
        ("fake-filter", 400, "content_policy_violation"),
        ("fake-401", 401, "invalid_api_key"),
        ("fake-unheard-of", 404, "model_not_found"),
        ("fake-ok?first=soon", 400, None),
    ],
)
async def test_refusals_are_openai_errors(client, model, status, code, stream):
    response = await ask(client, model, stream=stream)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.json()["error"]["message"]
    assert "retry-after" not in response.headers


async def test_the_filter_names_a_category(client):
    error = (await ask(client, "fake-filter")).json()["error"]
    assert error["innererror"]["content_filter_result"]["violence"]["filtered"]


async def test_one_failure_then_answers(client):
    statuses = [(await ask(client, "fake-500-once")).status_code for _ in range(3)]
    assert statuses == [500, 200, 200]


async def test_a_flapping_provider_fails_every_other_time(client):
    statuses = [(await ask(client, "fake-flap")).status_code for _ in range(4)]
    assert statuses == [503, 200, 503, 200]


async def test_a_suffix_keeps_counters_apart_and_a_pace_does_not(client):
    names = ["fake-500-once:a", "fake-500-once:b", "fake-500-once:a?tokens=3", "fake-500-once:b"]
    assert [(await ask(client, name)).status_code for name in names] == [500, 500, 200, 200]


async def test_a_rate_limit_with_a_time_ends_when_the_time_has_passed(provider, client):
    now = [100.0]
    provider.log._clock = lambda: now[0]
    refused = await ask(client, "fake-429-retry-after")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    now[0] += 0.9
    assert (await ask(client, "fake-429-retry-after")).status_code == 429
    now[0] += 0.1
    assert (await ask(client, "fake-429-retry-after")).status_code == 200
    assert (await ask(client, "fake-429-retry-after-30:x")).headers["retry-after"] == "30"


async def test_a_reset_comes_before_any_byte(provider):
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    raw = json.dumps(body("fake-reset")).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(raw), raw))
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_html_comes_with_status_200(client):
    response = await ask(client, "fake-html")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")


async def test_an_empty_answer_ends_well_and_says_nothing(client):
    response = await ask(client, "fake-empty")
    assert (spoken(response.text), finish(response.text)) == ("", ["stop"])
    assert (await ask(client, "fake-empty", stream=False)).json()["choices"][0]["message"]["content"] == ""


async def test_an_error_inside_the_answer_comes_before_any_text(client):
    response = await ask(client, "fake-inband-error")
    assert (response.status_code, spoken(response.text), finish(response.text)) == (200, "", [])
    assert [event["error"]["type"] for event in events(response.text) if "error" in event] == ["server_error"]
    assert (await ask(client, "fake-inband-error", stream=False)).json()["error"]["type"] == "server_error"


# Failures in mid-answer


async def test_a_cut_comes_after_twenty_five_of_sixty_words(provider, client):
    text = await heard_until(httpx.RemoteProtocolError, client, "fake-cut")
    assert spoken(text) == ANSWER[: ANSWER.index(" and the kitchen")]
    assert len(spoken(text).split()) == 25
    assert finish(text) == []
    assert (provider.log[-1].whole, provider.log[-1].ended_by) == (False, "provider")
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(client, "fake-cut", stream=False)


async def test_a_cut_keeps_its_share_of_a_longer_answer(client):
    assert len(spoken(await heard_until(httpx.RemoteProtocolError, client, "fake-cut?tokens=120")).split()) == 50


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stall_keeps_the_line_open(client, stream):
    text = await heard_until(httpx.ReadTimeout, client, "fake-stall", stream=stream)
    assert len(spoken(text).split()) == (25 if stream else 0)
    assert stream or 0 < len(text) < len(ANSWER) + 200


async def test_a_silent_provider_sends_nothing_and_sees_the_caller_hang_up(provider, client):
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/chat/completions", json=body("fake-silent"), timeout=IMPATIENT)
    await until(lambda: provider.log[-1].ended is not None)
    assert (provider.log[-1].status, provider.log[-1].ended_by, provider.open_connections) == (None, "caller", 0)


async def test_a_slow_first_token_comes_long_after_the_head(client):
    assert await heard_until(httpx.ReadTimeout, client, "fake-slow-first-token") == ""
    assert spoken((await ask(client, "fake-slow-first-token?first=1ms")).text) == ANSWER


async def test_a_malformed_chunk_stands_between_whole_ones(client):
    response = await ask(client, "fake-malformed")
    assert [type(event) for event in events(response.text)].count(str) == 1
    assert (spoken(response.text), finish(response.text)) == (ANSWER, ["stop"])
    with pytest.raises(ValueError):
        (await ask(client, "fake-malformed", stream=False)).json()


async def test_a_stream_can_end_without_done(client):
    response = await ask(client, "fake-no-done")
    assert (spoken(response.text), finish(response.text)) == (ANSWER, ["stop"])
    assert "[DONE]" not in response.text


async def test_prefill_can_be_rejected(client):
    prefilled = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Good"}]
    assert (await ask(client, "fake-no-prefill", messages=prefilled)).status_code == 400
    assert spoken((await ask(client, "fake-no-prefill")).text) == ANSWER


async def heard_until(error, client, model, **more):
    """What was heard before the line failed."""
    heard = []
    timeout = IMPATIENT if error is httpx.ReadTimeout else 30
    request = client.stream("POST", "/chat/completions", json=body(model, **more), timeout=timeout)
    with pytest.raises(error):
        async with request as response:
            async for piece in response.aiter_text():
                heard.append(piece)
    return "".join(heard)


# Going on with an answer that was begun

BEGUN = ANSWER[: ANSWER.index(" seven this evening")]
PREFILL = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": BEGUN}]
IN_WORDS = [*PREFILL, {"role": "user", "content": "Go on, please."}]


@pytest.mark.parametrize("messages", [PREFILL, IN_WORDS])
@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("fake-continue", ANSWER.removeprefix(BEGUN)),
        ("fake-overlap", "two is booked for" + ANSWER.removeprefix(BEGUN)),
        ("fake-restart", ANSWER),
        ("fake-think", ANSWER),
    ],
)
async def test_an_answer_is_continued_in_one_of_three_ways(client, model, said, messages):
    text = (await ask(client, model, messages=messages)).text
    assert (spoken(text), finish(text)) == (said, ["stop"])
    assert spoken((await ask(client, model)).text) == ANSWER


async def test_an_error_inside_the_answer_can_come_after_twenty_five_words(client):
    text = (await ask(client, "fake-inband-error-late")).text
    assert len(spoken(text).split()) == 25
    assert (finish(text), "error" in list(events(text))[-1]) == ([], True)


async def test_a_stall_can_come_right_after_the_role(client):
    text = await heard_until(httpx.ReadTimeout, client, "fake-stall-early")
    assert [choice["delta"] for choice in choices(text)] == [{"role": "assistant", "content": ""}]


async def test_an_outage_ends_when_its_time_has_passed(provider, client):
    now = [0.0]
    provider.log._clock = lambda: now[0]
    statuses = []
    for now[0] in (0.0, 2.9, 3.0):
        statuses.append((await ask(client, "fake-outage-3")).status_code)
    assert statuses == [503, 503, 200]


# Tool calls


async def test_a_tool_is_called_in_fragments(client):
    text = (await ask(client, "fake-tool", tools=[MULTIPLY])).text
    fragments = [call for choice in choices(text) for call in choice["delta"].get("tool_calls", ())]
    assert [("id" in each, "name" in each["function"]) for each in fragments] == [(True, True)] + [(False, False)] * (
        len(fragments) - 1
    )
    assert len(fragments) > 2
    arguments = "".join(each["function"]["arguments"] for each in fragments)
    assert json.loads(arguments) == {"first_number": 6, "second_number": 7}
    assert finish(text) == ["tool_calls"]


async def test_a_tool_call_can_be_had_whole(client):
    (choice,) = (await ask(client, "fake-tool", tools=[MULTIPLY], stream=False)).json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "multiply"


async def test_a_tools_result_is_quoted(client):
    result = [{"role": "user", "content": "6 x 7?"}, {"role": "tool", "tool_call_id": "c", "content": "42"}]
    assert spoken((await ask(client, "fake-tool", tools=[MULTIPLY], messages=result)).text) == "The tool answered: 42"


@pytest.mark.parametrize("offer", [{}, {"tools": [MULTIPLY], "tool_choice": "none"}])
async def test_without_a_tool_to_call_the_answer_is_spoken(client, offer):
    assert spoken((await ask(client, "fake-tool", **offer)).text) == ANSWER


async def test_the_tool_that_is_insisted_on_is_called(client):
    other = {"type": "function", "function": {"name": "other"}}
    choice = {"type": "function", "function": {"name": "multiply"}}
    text = (await ask(client, "fake-tool", tools=[other, MULTIPLY], tool_choice=choice)).text
    assert '"name":"multiply"' in text


async def test_a_tool_call_is_cut_in_its_arguments(client):
    text = await heard_until(httpx.RemoteProtocolError, client, "fake-tool-cut", tools=[MULTIPLY])
    arguments = "".join(
        call["function"]["arguments"] for choice in choices(text) for call in choice["delta"].get("tool_calls", ())
    )
    assert arguments.startswith('{"first_number"')
    with pytest.raises(ValueError):
        json.loads(arguments)


# The server


async def test_every_behaviour_answers_or_breaks_as_it_should(provider, client, caplog):
    broken = {}
    for model in BEHAVIOURS:
        try:
            await client.post("/chat/completions", json=body(f"{model}?first=1ms", tools=[MULTIPLY]), timeout=IMPATIENT)
        except httpx.TransportError as exc:
            broken[model] = type(exc)
    assert broken == {
        "fake-reset": httpx.ReadError,
        "fake-silent": httpx.ReadTimeout,
        "fake-stall-early": httpx.ReadTimeout,
        "fake-cut": httpx.RemoteProtocolError,
        "fake-stall": httpx.ReadTimeout,
        "fake-tool-cut": httpx.RemoteProtocolError,
    }
    assert [entry.behaviour for entry in provider.log] == list(BEHAVIOURS)
    assert not caplog.records or {record.name for record in caplog.records} == {"httpx"}


async def test_the_log_tells_what_was_asked_and_how_it_ended(provider, client):
    await ask(client, "fake-ok:x?tokens=2")
    await ask(client, "fake-503", stream=False)
    first, second = (await client.get("/control/log")).json()
    assert {key: first[key] for key in ("model", "behaviour", "stream", "messages", "status", "ended_by", "whole")} == {
        "model": "fake-ok:x?tokens=2",
        "behaviour": "fake-ok",
        "stream": True,
        "messages": 1,
        "status": 200,
        "ended_by": "provider",
        "whole": True,
    }
    assert first["time"] <= first["ended"] <= second["time"]
    assert (second["stream"], second["status"]) == (False, 503)
    assert provider.log[0].body["messages"] == [{"role": "user", "content": "Hello there"}]


async def test_a_hang_up_in_mid_answer_is_logged(provider, client):
    request = client.stream("POST", "/chat/completions", json=body("fake-ok?gap=60s"))
    async with request as response:
        async for _ in response.aiter_raw():
            break
    await until(lambda: provider.log[-1].ended is not None)
    assert (provider.log[-1].ended_by, provider.log[-1].whole) == ("caller", False)


async def test_a_reset_of_the_log_begins_the_counters_again(provider, client):
    await ask(client, "fake-500-once")
    assert (await client.post("/control/reset")).json() == {"reset": True}
    assert len(provider.log) == 0
    assert (await ask(client, "fake-500-once")).status_code == 500


async def test_the_paths_work_without_v1_too(provider):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{provider.port}") as client:
        assert spoken((await ask(client, "fake-ok")).text) == ANSWER
        assert (await client.get("/models")).json()["object"] == "list"


async def test_a_connection_serves_one_request_after_the_other(provider, client):
    for _ in range(5):
        await ask(client, "fake-ok")
    assert provider.open_connections == 1


async def test_pipelined_requests_and_requests_in_pieces_are_read(provider):
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    raw = json.dumps(body("fake-ok", stream=False)).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n" % len(raw)
    last = b"connection: close\r\n\r\n"
    for piece in (request[:20], request[20:] + b"\r\n" + raw[:5], raw[5:] + request + last + raw):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    assert (await reader.read()).count(b"HTTP/1.1 200 OK") == 2
    writer.close()


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/chat/completions", b"{", 400),
        ("POST", "/chat/completions", b"[]", 400),
        ("POST", "/chat/completions", b"{}", 400),
        ("POST", "/chat/completions", b'{"model":"fake-ok","messages":[]}', 400),
        ("POST", "/chat/completions", b'{"model":"fake-ok","messages":[1],"max_tokens":"x"}', 400),
        ("POST", "/chat/completions", b'{"model":"fake-ok","messages":[1]}', 200),
        ("GET", "/chat/completions", b"", 405),
        ("GET", "/embeddings", b"", 404),
    ],
)
async def test_bad_requests_get_clear_errors_and_the_line_lives_on(provider, client, method, path, content, status):
    response = await client.request(method, path, content=content)
    assert response.status_code == status
    assert status == 200 or response.json()["error"]["message"]
    assert (await ask(client, "fake-ok")).status_code == 200
    assert provider.open_connections == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"transfer-encoding: chunked\r\n\r\n", b"411"),
        (b"content-length: x\r\n\r\n", b"400"),
        (b"content-length: %d\r\n\r\n" % (MAX_BODY + 1), b"413"),
        (b"x: " + b"y" * 70_000, b"413"),
    ],
)
async def test_unreadable_heads_are_refused(provider, head, status):
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\n" + head)
    assert (await reader.readline()).split()[1] == status
    writer.close()


async def test_a_large_body_is_continued_on_request(provider):
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    raw = json.dumps(body("fake-ok", stream=False)).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(raw))
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    writer.write(raw)
    await reader.readline()
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.close()


def test_it_resets_and_notices_hang_ups_on_uvloop_too():
    async def both():
        async with FakeProvider() as provider, httpx.AsyncClient(base_url=provider.base_url) as client:
            assert spoken((await ask(client, "fake-ok")).text) == ANSWER
            with pytest.raises(httpx.ReadError):
                await ask(client, "fake-reset")
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/chat/completions", json=body("fake-silent"), timeout=IMPATIENT)
            await until(lambda: provider.log[-1].ended is not None)
            return provider.log[-1].ended_by

    assert uvloop.run(both()) == "caller"


async def test_leaving_hangs_up_on_everybody():
    async with FakeProvider() as provider, httpx.AsyncClient(base_url=provider.base_url, timeout=30) as client:
        waiting = asyncio.create_task(ask(client, "fake-silent"))
        await until(lambda: len(provider.log) == 1)
        await provider.__aexit__()
        with pytest.raises(httpx.ReadError):
            await waiting


async def test_serve_says_that_the_port_is_taken(provider):
    with pytest.raises(OSError, match="address already in use"):
        await serve("127.0.0.1", provider.port)


async def test_serve_answers_until_it_is_cancelled():
    async with FakeProvider() as free:
        port = free.port
    server = asyncio.create_task(serve("127.0.0.1", port))
    transport = httpx.AsyncHTTPTransport(retries=5)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", transport=transport) as client:
        assert (await ask(client, "fake-ok")).status_code == 200
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server


async def until(condition):
    """Waits for what another task is about to do; the test's own deadline is the limit."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_the_command_says_where_it_listens() -> None:
    ready: asyncio.Queue[str] = asyncio.Queue()
    serving = asyncio.create_task(serve("127.0.0.1", 0, ready.put_nowait))
    async with asyncio.timeout(5), httpx.AsyncClient() as http:
        assert (await http.get(f"{await ready.get()}/models")).status_code == 200
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
