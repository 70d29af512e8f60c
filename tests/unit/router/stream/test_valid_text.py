import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.stream.valid_text import TextPieces, valid_text


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("", ""),
        ("Grüße 你好 😀", "Grüße 你好 😀"),
        ("\ud83d\ude00", "😀"),
        ("a\ud83db", "a\ufffdb"),
        ("\ude00", "\ufffd"),
        ("😀\ud83d", "😀\ufffd"),
    ],
)
def test_pairs_are_joined_and_halves_replaced(text: str, valid: str) -> None:
    assert valid_text(text) == valid


@given(st.lists(st.text(st.characters(categories=("L", "Cs", "So"), min_codepoint=0xD700, max_codepoint=0x1F600))))
def test_pieces_give_the_same_text_as_the_whole(pieces: list[str]) -> None:
    reader = TextPieces()
    read = [*map(reader.take, pieces), reader.end()]
    assert "".join(read) == valid_text("".join(pieces))
    for piece in read:
        piece.encode()
