import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import BadAnswer
from router.stream.sse_events import EventParser


def parse(*reads: bytes) -> list[bytes]:
    parser = EventParser()
    return [payload for data in reads for payload in parser.feed(data)] + parser.finish()


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_every_kind_of_line_end_separates_events(newline: bytes) -> None:
    assert parse(newline.join([b"data: a", b"", b"data: b", b"", b""])) == [b"a", b"b"]


def test_an_event_is_returned_as_soon_as_its_blank_line_has_arrived() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\n") == []
    assert parser.feed(b"\nda") == [b"a"]


def test_a_carriage_return_at_the_end_of_a_read_does_not_hold_the_event_back() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\r\n\r") == [b"a"]
    assert parser.feed(b"\ndata: b\r\n\r\n") == [b"b"]


def test_a_line_end_that_is_split_between_two_reads_is_one_line_end() -> None:
    assert parse(b"data: a\r", b"\ndata: b\r", b"", b"\n\r\n") == [b"a\nb"]


def test_the_last_event_needs_no_blank_line_and_no_line_end() -> None:
    assert parse(b"data: a\n\ndata: b") == [b"a", b"b"]


def test_comments_other_fields_and_empty_events_are_ignored() -> None:
    assert parse(b": ping\n\nevent: x\nid: 7\ndata: a\n\nretry: 3\n\ndata:\n\n\n\ndata: b\n\n") == [b"a", b"b"]


def test_data_lines_of_one_event_are_joined_and_lose_one_leading_space() -> None:
    assert parse(b"data:  a\ndata:b\n\n") == [b" a\nb"]


def test_a_byte_order_mark_is_dropped_even_when_it_comes_in_pieces() -> None:
    assert parse(b"\xef", b"\xbb", b"\xbfdata: a\n\n") == [b"a"]


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    parser = EventParser(max_event_bytes=100)
    with pytest.raises(BadAnswer):
        for _ in range(200):
            parser.feed(b"x")


def test_a_whole_event_that_is_too_long_is_refused_too() -> None:
    with pytest.raises(BadAnswer):
        EventParser(max_event_bytes=100).feed(b"data: " + b"x" * 100 + b"\n\n")


PIECES = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"data",
        b"event: x",
        b": c",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\n\r\n",
        b"a",
        b" ",
        b"\xef\xbb\xbf",
    ]
)


@given(st.lists(PIECES).map(b"".join), st.data())
def test_any_split_of_the_bytes_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    reads = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(*reads) == parse(stream)
    assert parse(stream) == by_the_book(stream)


def by_the_book(stream: bytes) -> list[bytes]:
    """The same format line by line, as the standard tells it, with the last event kept."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[bytes] = []
    lines: list[bytes] = []
    for line in [*text.split(b"\n"), b""]:
        if line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
        elif line == b"":
            events.append(b"\n".join(lines))
            lines = []
    return [event for event in events if event]
