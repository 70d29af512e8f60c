"""The documents name only files, folders and headings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"(?<![\w./-])(?:agent|api|bench|config|docs|router|tests)/[\w./-]*")
"""A path from the root of the repository, also in code blocks. URLs and routes such as `/agent/invoke` are none."""
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(document: Path) -> set[str]:
    """GitHub's anchors of the headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> list[str]:
    broken = []
    for link in LINK.findall(FENCE.sub("", document.read_text("utf-8"))):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if "://" not in link and (not target.exists() or (anchor and anchor not in anchors(target))):
            broken.append(link)
    return broken


def missing_paths(document: Path) -> list[str]:
    text = LINK.sub("]", document.read_text("utf-8"))
    return [path for path in PATH.findall(text) if not (ROOT / path.rstrip(".")).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=place)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    assert not broken_links(document)


@pytest.mark.parametrize("document", DOCUMENTS, ids=place)
def test_every_path_exists(document: Path) -> None:
    assert not missing_paths(document)


def test_what_does_not_exist_is_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text(
        "# One & two\n[a](a.md#one--two) [b](b.md) [c](#three) [d](https://example.com/x)\n"
        "`router/policy.py` `router/patience.py` agent/graph.py. /agent/nowhere https://example.com/docs/nowhere\n"
        "```\n# not a heading\nbench/nowhere/\n```\n"
    )
    assert broken_links(document) == ["b.md", "#three"]
    assert missing_paths(document) == ["router/patience.py", "bench/nowhere/"]
