"""Describes the machine, so that results can be compared."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.processes import Cores

_PACKAGES = ("switchboard", "litellm", "langchain-litellm", "langgraph", "fastapi", "uvicorn", "uvloop", "aiohttp")


def describe_machine(cores: Cores) -> dict[str, Any]:
    """Return the hardware, the system load before the run, and the versions of Switchboard and its libraries."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "server on": sorted(cores.server) or "any core",
        "provider and load on": sorted(cores.load) or "any core",
        "load before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "date": time.strftime("%Y-%m-%d"),
    }


def cpu_model() -> str:
    """Return the processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
