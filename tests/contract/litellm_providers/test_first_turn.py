"""The first turns of a process connect to their providers, and to nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_first_turn_with_each_provider_connects_to_it_alone() -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LITELLM_")}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.contract.litellm_providers.first_turn"],
        env=kept | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.split() == []
