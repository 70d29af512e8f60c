"""Reads the marks that the tools of `marking_program.py` leave, to count their calls."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import marking_program


@dataclass(frozen=True, slots=True)
class Marks:
    folder: Path

    @property
    def agent(self) -> dict[str, Any]:
        """The agent.yaml with the MCP server."""
        program = {"command": sys.executable, "args": [str(Path(marking_program.__file__)), str(self.folder)]}
        return {"tools": [], "mcp_servers": {"marking": program}, "review": ["mcp:marking:mark_if_allowed"]}

    def count(self, name: str) -> int:
        """Return the number of calls with this name."""
        marks = self.folder / f"{name}.marks"
        return len(marks.read_text().splitlines()) if marks.exists() else 0

    def release(self, name: str) -> None:
        """Let the calls with this name return."""
        (self.folder / f"{name}.go").touch()
