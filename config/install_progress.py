"""`python -m config.install_progress LOCK`: installs the packages of a lock file with one line of progress.

It runs before anything is installed, so it needs only the standard library.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

PIP: Final = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--require-hashes")
SEEN: Final = ("Collecting ", "Requirement already satisfied: ", "Ignoring ")
"""How pip begins the line of a package. It ignores those of other systems."""


def install(command: Sequence[str], total: int, out: TextIO) -> int:
    """Run pip and count the packages that it reports. Returns its exit code; after a failure, `out` has its lines.

    A terminal gets one line that changes, anything else one line at the start and one at the end.
    """
    moving = out.isatty()
    print(f"Installing {total} packages into .venv, once. This takes a minute or two.", file=out, flush=True)
    lines: list[str] = []
    count = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:  # noqa: S603
        assert pip.stdout is not None  # noqa: S101  (it is a pipe)
        for line in pip.stdout:
            lines.append(line)
            count += line.startswith(SEEN)
            if moving:
                step = (
                    "writing the files"
                    if line.startswith("Installing collected")
                    else f"{min(count, total)} of {total}"
                )
                print(f"\r  {step:<20}", end="", file=out, flush=True)
    if moving:
        print("\r" + " " * 22, end="\r", file=out)
    print("Installed." if pip.returncode == 0 else "".join(lines[-20:]), file=out, flush=True)
    return pip.returncode


def main() -> None:
    """Install the packages of the lock file that the first argument names."""
    lock = Path(sys.argv[1])
    total = sum("==" in line and not line[0].isspace() for line in lock.read_text("utf-8").splitlines() if line)
    sys.exit(install([*PIP, "-r", str(lock)], total, sys.stdout))


if __name__ == "__main__":
    main()
