"""Maps the source files of a stack to the layers of a turn."""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = f"{Path(__file__).resolve().parents[1]}/"
_STDLIB: Final = f"{sysconfig.get_paths()['stdlib']}/"
LOOP: Final = "event loop"
OTHER: Final = "other"

_RUNNERS: Final = ("/uvicorn/_compat.py", "/asyncio/runners.py")
"""The innermost Python frame outside the event loop, whose own code is compiled, is in one of these files."""

_PACKAGES: Final = {
    "uvicorn: HTTP in and out": ("uvicorn", "httptools", "h11"),
    "FastAPI and Starlette": ("fastapi", "starlette", "anyio"),
    "pydantic: validation": ("pydantic", "pydantic_core", "pydantic_settings"),
    "LangGraph": ("langgraph",),
    "langchain-core": ("langchain_core", "langsmith"),
    "langchain-litellm": ("langchain_litellm",),
    "LiteLLM": ("litellm",),
    "HTTP client": ("httpx", "httpx_aiohttp", "httpcore", "aiohttp", "aiosignal", "yarl", "multidict"),
    "logging": ("structlog",),
}
OWN_PATHS: Final = {
    "router/lanes/": "lane",
    "router/stream/sse_events.py": "lane",
    "router/": "router",
    "agent/": "agent",
    "api/log.py": "logging",
    "api/": "api",
    "config/": "config",
}
_BY_PACKAGE: Final = {package: layer for layer, packages in _PACKAGES.items() for package in packages}


def layer_of(file: str) -> str | None:
    """Return the layer of a source file; None for the standard library, whose time counts for its caller."""
    if "/site-packages/" in file:
        package = file.rpartition("/site-packages/")[2].partition("/")[0].removesuffix(".py")
        return _BY_PACKAGE.get(package, OTHER)
    if file.startswith(ROOT):
        path = file.removeprefix(ROOT)
        return next((layer for prefix, layer in OWN_PATHS.items() if path.startswith(prefix)), OTHER)
    if file.startswith(f"{_STDLIB}logging/"):
        return "logging"
    return None if file.startswith((_STDLIB, "<")) else OTHER


def inside_event_loop(files: Sequence[str]) -> Sequence[str]:
    """Return the part of a stack that the event loop called; `files` has the innermost frame first.

    The rest, the command line and the server's start-up, is the same in every stack.
    """
    outside_in = list(enumerate(reversed(files), start=1))
    runs = [depth for depth, file in outside_in if file.endswith(_RUNNERS)]
    return files[: len(files) - runs[-1]] if runs else files


def own_layer(files: Sequence[str]) -> str:
    """Return the layer of the innermost frame outside the standard library, or else the event loop."""
    return next((layer for layer in map(layer_of, files) if layer is not None), LOOP)


def layers_in(files: Sequence[str]) -> set[str]:
    """Return all layers of the stack."""
    return {layer for layer in map(layer_of, files) if layer is not None}
