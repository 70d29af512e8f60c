"""`switchboard init`: writes models.yaml, agent.yaml and .env, from which a server starts without a provider's key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from config.first_run import create_env_file
from config.profile.agent_file import DEFAULT_AGENT_FILE

STARTER: Final = Path(__file__).parent / "starter"
AGENT_FILE_SETTING: Final = "SWITCHBOARD_AGENT_FILE"
SCHEMA_LINE: Final = "# yaml-language-server:"
"""Names a file of the repository, which other folders do not have."""


def write_starter_files(folder: Path, *, force: bool) -> Iterator[str]:
    """Write the three files into `folder`, and say of each what happened.

    A file that exists is kept; with `force`, it is renamed to *.bak first. Raises OSError if `folder` is not writable.
    """
    files: dict[str, Callable[[Path], None]] = {
        "models.yaml": _write_models,
        "agent.yaml": lambda file: _write_new(file, DEFAULT_AGENT_FILE.read_text("utf-8")),
        ".env": lambda file: create_env_file(file, STARTER / "env.example", {AGENT_FILE_SETTING: "agent.yaml"}),
    }
    for name, write in files.items():
        file = folder / name
        existed = file.exists() or file.is_symlink()
        if existed and not force:
            yield f"kept     {name}: it exists; --force replaces it"
            continue
        if existed:
            file.replace(folder / f"{name}.bak")
        write(file)
        yield f"replaced {name}: the old one is {name}.bak" if existed else f"wrote    {name}"
    if AGENT_FILE_SETTING not in dotenv_values(folder / ".env", encoding="utf-8"):
        yield f"To use agent.yaml, add {AGENT_FILE_SETTING}=agent.yaml to .env."


def _write_models(file: Path) -> None:
    lines = (STARTER / "models.yaml").read_text("utf-8").splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(SCHEMA_LINE))
    _write_new(file, text.removeprefix("#\n"))


def _write_new(file: Path, text: str) -> None:
    with file.open("x", encoding="utf-8") as stream:
        stream.write(text)
