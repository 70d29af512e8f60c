"""What the terminal shows: widths, colours, and texts that try to steer it."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from api.terminal import render
from api.terminal.turn_parts import CallPart, Outcome

HOTEL = "全季酒店(软件园店)"


def shown(renderable: Any, width: int = 60, **options: Any) -> str:
    file = StringIO()
    Console(file=file, width=width, theme=render.THEME, **options).print(renderable)
    return file.getvalue()


def review(**arguments: Any) -> dict[str, Any]:
    return {"action_request": {"action": "book_hotel", "args": arguments}, "description": "Book a room."}


@pytest.mark.parametrize("width", [24, 40, 100])
def test_the_frame_of_a_card_is_straight_around_wide_characters(width: int) -> None:
    card = render.review_card(review(hotel_name=HOTEL * 3, nights=2), 2)
    lines = shown(card, width, force_terminal=True, color_system=None).splitlines()
    assert {cell_len(line) for line in lines} == {cell_len(lines[0])}
    assert cell_len(lines[0]) <= width
    assert HOTEL[:4] in "".join(lines)


def test_a_table_shows_all_columns_in_a_narrow_terminal() -> None:
    row = ["1*", "67875ee4369…", "completed", "上海天气如何？", "2026-11-27 00:57"]
    said = shown(render.table("", "session", "status", "last message", "updated", rows=[row]), 44)
    assert max(cell_len(line) for line in said.splitlines()) <= 44
    assert all(each in said for each in ("1*", "completed", "上海", "2026"))


def test_a_card_has_no_frame_in_a_pipe() -> None:
    lines = shown(render.review_card(review(hotel_name="Ritz"), 1)).splitlines()
    assert [each.split() for each in lines] == [
        ["Review:", "book_hotel"],
        ["Book", "a", "room."],
        [],
        ["hotel_name", "Ritz"],
    ]


def test_a_card_says_which_of_several_it_is() -> None:
    assert "Review: book_hotel (1 of 2)" in shown(render.review_card(review(hotel_name="Ritz"), 2))


@pytest.mark.parametrize("text", ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "a\rb", "a\u202eb"])
def test_a_text_of_the_server_cannot_steer_the_terminal(text: str) -> None:
    call = CallPart("c1", f"tool{text}", {"x": text}, result=text)
    cards = render.review_card(review(hotel_name=text), 1), render.call_line(call), render.hand_off_card(call)
    for each in (*cards, render.markdown(text), render.plain(text), render.table("a", rows=[[text]])):
        assert not render.CONTROL.search(shown(each))


def test_markup_of_a_text_is_shown_as_it_is() -> None:
    assert "[red]" in shown(render.plain("[red]x"))
    assert "[red]" in shown(render.call_line(CallPart("c1", "[red]", {"a": "[bold]"}, result="[red]")))


@pytest.mark.parametrize(
    "text", ["# Title\n\n`code` and **bold**\n\n> quote", "```python\nprint(1)\n```", "1. one\n2. two"]
)
def test_an_answer_sets_no_background(text: str) -> None:
    coloured = shown(render.markdown(text), force_terminal=True, color_system="standard")
    assert "\x1b[" in coloured
    codes = [code for part in coloured.split("\x1b[")[1:] for code in part.split("m")[0].split(";")]
    assert not [code for code in codes if code in {"40", "41", "42", "43", "44", "45", "46", "47", "7"}]


def test_the_status_line_says_who_served_how_fast_and_for_how_much() -> None:
    usage = {"input_tokens": 29, "output_tokens": 15, "total_tokens": 44, "total_cost": 0.00033}
    line = render.status_line(Outcome("completed", usage=usage, model="fast"), 0.152, 0.4)
    assert shown(line, 100).strip() == "fast · first token 152 ms · 0.40 s · 29 tokens in, 15 out · $0.00033"


def test_an_unknown_cost_is_left_out() -> None:
    usage = {"total_tokens": 44, "total_cost": None}
    assert "$" not in shown(render.status_line(Outcome("completed", usage=usage), None, None))


def test_the_tail_of_a_long_text_fits_the_screen() -> None:
    console = Console(file=StringIO(), width=10)
    text = "\n".join(map(str, range(100))) + "\n" + "上海" * 5
    assert render.tail(text, console, 4).plain.splitlines() == ["98", "99", "上海上海上", "海上海上海"]


def test_a_long_result_is_cut() -> None:
    lines = shown(render.call_line(CallPart("c1", "t", {}, result="\n".join("abcdefghij")))).split()
    assert lines == ["✓", "t", *"abcdef", "…"]
