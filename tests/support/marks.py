"""The marks that the tools of `marking_program.py` leave outside, to count how often each ran."""

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
        """What agent.yaml has to say."""
        program = {"command": sys.executable, "args": [str(Path(marking_program.__file__)), str(self.folder)]}
        return {"tools": [], "mcp_servers": {"marking": program}, "review": ["mcp:marking:mark_if_allowed"]}

    def of(self, name: str) -> int:
        """How often a tool ran under that name."""
        marks = self.folder / f"{name}.marks"
        return len(marks.read_text().splitlines()) if marks.exists() else 0

    def let_go(self, name: str) -> None:
        """Calls under that name end."""
        (self.folder / f"{name}.go").touch()
