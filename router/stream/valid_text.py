"""Makes text that JSON can hold valid UTF-8: JSON may have half of a surrogate pair, UTF-8 may not."""

from __future__ import annotations


def valid_text(text: str) -> str:
    """`text` with its surrogate pairs joined and lone surrogates replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class TextPieces:
    """Makes text valid that arrives in pieces; a surrogate pair may be split between two."""

    def __init__(self) -> None:
        self._half = ""

    def take(self, piece: str) -> str:
        """The next piece as far as it is certain; perhaps empty."""
        piece, self._half = self._half + piece, ""
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        return valid_text(piece)

    def end(self) -> str:
        """What is left at the end of the text."""
        half, self._half = self._half, ""
        return valid_text(half)
