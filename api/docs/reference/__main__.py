"""Writes the reference pages: `python -m api.docs.reference docs/reference`."""

from __future__ import annotations

import sys
from pathlib import Path

from api.docs.reference.pages import pages


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
