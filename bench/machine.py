"""What has to be known of the machine to compare its numbers with another's."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.processes import Cores

_PACKAGES = ("switchboard", "litellm", "langchain-litellm", "langgraph", "fastapi", "uvicorn", "uvloop", "aiohttp")


def machine(cores: Cores) -> dict[str, Any]:
    """The machine, what it was busy with before the run, and the versions that were measured."""
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "server on": sorted(cores.server) or "any core",
        "provider and load on": sorted(cores.load) or "any core",
        "load before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "date": time.strftime("%Y-%m-%d"),
    }


def cpu() -> str:
    """The model of the processor, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
