import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.responses import BrokenAnswer, is_complete, parse_completion, parse_stream

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WORDS = ("One", " two", " three")
SAID = "".join(WORDS)


def chunk(content=None, finish=None):
    delta = {} if content is None else {"content": content}
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def answer(*datas, head=HEAD, end=b"0\r\n\r\n"):
    events = [f"data: {data}\n\n".encode() for data in datas]
    return head + b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events) + end


GOOD = answer(*map(chunk, WORDS), chunk(finish="stop"), "[DONE]")


def test_a_whole_turn_is_timed_by_its_pieces():
    cuts = [GOOD.index(word.encode()) + 40 for word in WORDS]
    pieces = [GOOD[start:end] for start, end in zip([0, *cuts], [*cuts, len(GOOD)], strict=True)]
    turn = parse_stream(10.0, [(11.0 + number, piece) for number, piece in enumerate(pieces)], SAID)
    assert turn.first_token == 1.0 + min(number for number in range(4) if b"One" in b"".join(pieces[: number + 1]))
    assert turn.end == 14.0
    assert (turn.chunks, len(turn.gaps)) == (3, 2)
    assert sum(turn.gaps) <= turn.end - turn.start - turn.first_token


@given(st.lists(st.integers(0, len(GOOD)), max_size=8))
def test_the_way_the_bytes_are_split_does_not_change_the_turn(cuts):
    bounds = [0, *sorted(cuts), len(GOOD)]
    segments = [(1.0, GOOD[start:end]) for start, end in pairwise(bounds)]
    turn = parse_stream(0.0, segments, SAID)
    assert (turn.chunks, turn.first_token, turn.gaps) == (3, 1.0, (0.0, 0.0))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (answer(chunk("One two"), chunk(finish="stop"), "[DONE]"), "the answer is 'One two'"),
        (answer(chunk(SAID), "[DONE]"), r"finish reasons are \[\]"),
        (answer(chunk(SAID), chunk(finish="stop")), r"\[DONE\] is missing"),
        (answer(chunk(SAID), chunk(finish="length"), "[DONE]"), "length"),
        (answer(chunk(SAID), chunk(finish="stop"), chunk(finish="stop"), "[DONE]"), "'stop', 'stop'"),
        (answer(chunk("One"), '{"error": {"message": "gone"}}', "[DONE]"), "an error inside"),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy", "HTTP 503: b'busy'"),
    ],
)
def test_an_answer_that_is_not_the_providers_is_broken(broken, why):
    with pytest.raises(BrokenAnswer, match=why):
        parse_stream(0.0, [(1.0, broken)], SAID)


def test_an_answer_that_was_not_streamed_is_checked_too():
    def whole(content, reason="stop", status=b"200 OK"):
        body = json.dumps({"choices": [{"message": {"content": content}, "finish_reason": reason}]}).encode()
        return [(2.0, b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))]

    assert parse_completion(1.0, whole(SAID), SAID).first_token == 1.0
    for broken in (whole("One"), whole(SAID, "length"), whole(SAID, status=b"500 Oh")):
        with pytest.raises(BrokenAnswer):
            parse_completion(1.0, broken, SAID)


def test_the_end_of_a_response_is_recognised():
    counted = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbusy"
    for response in (GOOD, counted):
        assert is_complete(response)
        assert not any(is_complete(response[:end]) for end in range(len(response)))
