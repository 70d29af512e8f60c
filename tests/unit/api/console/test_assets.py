"""The files of the page: every text has a translation, and the libraries are what their build writes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

import api.console
from agent.tools.mcp.connection import ConnectionState
from api.console.drill import FAULTS
from api.console.page import ASSETS
from router.health.breaker import State

BUILD = Path(api.console.__file__).parent / "vendor_build"
SCRIPTS = [each for each in ASSETS.rglob("*.js") if "vendor" not in each.parts]
STATUSES = {"idle", "running", "interrupted", "completed", "error", "queued", "cancelled"}


def test_every_text_has_a_chinese_one() -> None:
    used = {*FAULTS.values(), *get_args(State), *get_args(ConnectionState), *STATUSES}
    for script in SCRIPTS:
        text = script.read_text()
        used |= {*re.findall(r'\bt\(\s*"([^"]+)"', text), *re.findall(r'\btitle: "([^"]+)"', text)}
        assert not re.findall(r"\bt\(\s*[`']", text), "a text for t() stands in double quotes"
    dictionary = (ASSETS / "words" / "chinese.js").read_text()
    translated = dict(re.findall(r'^  "([^"]+)": "([^"]+)",$', dictionary, re.MULTILINE))
    assert used - {*translated} == set()
    assert {*translated} - used - {"created", "started", "finished"} == set(), "translations that no script uses"
    for english, chinese in translated.items():
        assert {*re.findall(r"\{\w+\}", english)} == {*re.findall(r"\{\w+\}", chinese)}, english


def test_no_file_names_another_host() -> None:
    for file in [*SCRIPTS, ASSETS / "index.html", ASSETS / "style.css"]:
        assert not re.findall(r"(?:https?:)?//[\w-]+\.[\w.]+", file.read_text().replace("http://www.w3.org", "")), file


def test_the_page_has_no_inline_script_or_style() -> None:
    page = (ASSETS / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page) == []


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (BUILD / "node_modules").is_dir(), reason="run `make api/console/vendor_build/node_modules`")
def test_the_libraries_are_what_their_build_writes() -> None:
    ran = subprocess.run(["node", "build.mjs", "--check"], cwd=BUILD, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_lock_files_name_no_registry() -> None:
    assert "://" not in (BUILD / "package-lock.json").read_text().replace("https://opencollective.com", "").replace(
        "https://github.com/sponsors", ""
    )
