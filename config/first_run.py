"""`python -m config.first_run`: creates `.env` from `.env.example` with a new API token."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

TOKENS_LINE = "SWITCHBOARD_API_TOKENS="
NOTHING: Mapping[str, str] = {}


def create_env_file(env_file: Path, example: Path, settings: Mapping[str, str] = NOTHING) -> None:
    """Create `env_file` from `example`, readable only by its owner. `settings` replace lines such as `# NAME=default`.

    Raises FileExistsError if `env_file` exists, FileNotFoundError if `example` does not.
    """
    lines = [_set(line, settings) for line in example.read_text(encoding="utf-8").splitlines()]
    token = f"{TOKENS_LINE}{secrets.token_urlsafe(24)}"
    filled = [token if line.startswith(TOKENS_LINE) else line for line in lines]
    text = "\n".join(filled if token in filled else [token, *filled]) + "\n"
    # Created with its final mode, so that no other user can ever read the token.
    with os.fdopen(os.open(env_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)


def _set(line: str, settings: Mapping[str, str]) -> str:
    name = line.removeprefix("# ").partition("=")[0]
    return f"{name}={settings[name]}" if line.startswith("# ") and name in settings else line


def main() -> None:
    """Create `.env` in the current directory and print where the token is. Leaves an existing file unchanged."""
    try:
        create_env_file(Path(".env"), Path(".env.example"))
    except FileExistsError:
        print(".env already exists and is unchanged.")
    except FileNotFoundError:
        sys.exit(".env.example is missing in this directory. Run this command in the project's directory.")
    else:
        print(f"Created .env. Your API token is the value of {TOKENS_LINE.rstrip('=')}.")


if __name__ == "__main__":
    main()
