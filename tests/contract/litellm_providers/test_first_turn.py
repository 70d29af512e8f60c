"""The first turn of a process connects to the provider, and to nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.litellm_providers.first_turn import NAMES

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_turn_connects_to_the_provider_alone(name: str) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LITELLM_")}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.contract.litellm_providers.first_turn", name],
        env=kept | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.split() == []
