"""`python -m config.first_run`: makes `.env` from `.env.example`, with a new API token."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

LINE = "SWITCHBOARD_API_TOKENS="


def make_env_file(env_file: Path, example: Path) -> None:
    """Write `env_file`, readable by its owner alone.

    Raises FileExistsError when it is there already, FileNotFoundError without the example.
    """
    lines = example.read_text(encoding="utf-8").splitlines()
    token = f"{LINE}{secrets.token_urlsafe(24)}"
    filled = [token if line.startswith(LINE) else line for line in lines]
    text = "\n".join(filled if token in filled else [token, *filled]) + "\n"
    # Created with its final mode: at no time can another user read the token.
    with os.fdopen(os.open(env_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)


def main() -> None:
    """Make `.env` here and say where the token is; a file that is there stays as it is."""
    try:
        make_env_file(Path(".env"), Path(".env.example"))
    except FileExistsError:
        print(".env is there already and stays as it is.")
    except FileNotFoundError:
        sys.exit(".env.example is missing here; run this in the project's directory.")
    else:
        print(f"Made .env. Your API token is in it, behind {LINE}")


if __name__ == "__main__":
    main()
