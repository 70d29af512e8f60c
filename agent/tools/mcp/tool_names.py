"""Names for the tools of MCP servers that are valid for OpenAI and unique.

A name does not depend on the order in which the servers connect, so that it means the same tool in every process and
after every restart.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

MAX_LENGTH = 64
"""OpenAI's limit for the characters of a tool name. It allows letters, digits, _ and -."""

_DIGEST = 8


def offered_names(tools: Mapping[str, Iterable[str]], taken: Collection[str]) -> dict[tuple[str, str], str]:
    """The offered name for each (server, tool's own name) of `tools`.

    It is the tool's own name, with invalid characters replaced. If that is one of `taken`, or several servers have it,
    the server's name is prepended; if the result is still not unique, a digest is appended.
    """
    own = {(server, name): _valid(name) for server, names in tools.items() for name in names}
    servers = Counter(name for _, name in {(server, name) for (server, _), name in own.items()})
    first = {
        key: _valid(f"{key[0]}_{key[1]}") if servers[name] > 1 or name in taken else name for key, name in own.items()
    }
    wanted = Counter(first.values())
    return {key: _with_digest(name, key) if wanted[name] > 1 or name in taken else name for key, name in first.items()}


def _valid(name: str) -> str:
    bare = re.sub(r"[^a-zA-Z0-9_-]", "_", name)
    return bare if 0 < len(bare) <= MAX_LENGTH else _with_digest(bare, (name,))


def _with_digest(name: str, key: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:_DIGEST]
    return f"{name[: MAX_LENGTH - _DIGEST - 1]}_{digest}"
