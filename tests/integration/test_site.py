"""The documentation builds as a site, strictly: links, anchors and the navigation are right, and nothing is loaded
from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADS = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src")}
"""Elements and attributes whose address a browser loads by itself. `<a href>` is none of them."""
NOT_LOADED = {"canonical", "next", "prev"}
"""Relations of a `<link>` that is not loaded."""
FOREIGN = re.compile(r"(?:https?:)?//", re.IGNORECASE)


class Loaded(HTMLParser):
    """Collects the addresses on other hosts that a page loads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("rel") in NOT_LOADED:
            return
        self.found += [value for name, value in attrs if (tag, name) in LOADS and value and FOREIGN.match(value)]


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    folder = tmp_path_factory.mktemp("site")
    ran = build(ROOT / "mkdocs.yml", folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    yield folder


def test_every_page_is_there(site: Path) -> None:
    documents = {each.relative_to(ROOT / "docs").with_suffix(".html") for each in (ROOT / "docs").rglob("*.md")}
    built = {each.relative_to(site) for each in site.rglob("*.html")}
    assert built - documents == {Path("404.html")} and documents <= built


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    foreign = {str(page.relative_to(site)): found for page in site.rglob("*.html") if (found := Loaded(page).found)}
    assert not foreign
    styles = [
        each for each in site.rglob("*.css") if re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", each.read_text())
    ]
    assert not styles


def test_the_search_needs_no_server(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text("utf-8")
    assert "SWITCHBOARD_DRAIN_SECONDS" in index and "iframe-worker.js" in (site / "index.html").read_text("utf-8")


def test_links_to_other_files_of_the_repository_are_plain_text(site: Path) -> None:
    text = (site / "configuration.html").read_text("utf-8")
    assert "<code>config/agent.yaml</code>" in text and "../config/agent.yaml" not in text


def test_a_foreign_script_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<link rel="stylesheet" href="https://a/x.css"><link rel="canonical" href="https://a/">'
        '<a href="https://a/"><img src="//a/x.png"><script src="x.js"></script>'
    )
    assert Loaded(page).found == ["https://a/x.css", "//a/x.png"]


def test_a_broken_link_or_anchor_fails_the_build(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# One\n[a](two.md) [b](#nowhere)\n")
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    validation = re.findall(r"^validation:\n(?: +.*\n)+", settings, re.MULTILINE)
    config = tmp_path / "mkdocs.yml"
    config.write_text(f"site_name: Test\nstrict: true\n{''.join(validation)}")
    ran = build(config, tmp_path / "site")
    assert ran.returncode != 0 and "two.md" in ran.stderr and "#nowhere" in ran.stderr
