"""The names under which the tools of MCP servers are offered: valid for OpenAI, and each there only once.

Names depend on what there is, not on the order in which servers came up, so that they mean the same tool in every
process and after every restart.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

LONGEST = 64
"""Characters of a tool's name, as OpenAI has it; the others are letters, digits, _ and -."""

_DIGEST = 8


def offered_names(tools: Mapping[str, Iterable[str]], taken: Collection[str]) -> dict[tuple[str, str], str]:
    """The name for each (server, tool's own name) of `tools`.

    It is the tool's own name, without the characters that are not allowed. Where that is one of `taken`, or more than
    one server has it, the server's name stands before it; where even that is no help, a digest follows it.
    """
    own = {(server, name): _valid(name) for server, names in tools.items() for name in names}
    servers = Counter(name for _, name in {(server, name) for (server, _), name in own.items()})
    first = {
        key: _valid(f"{key[0]}_{key[1]}") if servers[name] > 1 or name in taken else name for key, name in own.items()
    }
    wanted = Counter(first.values())
    return {key: _marked(name, key) if wanted[name] > 1 or name in taken else name for key, name in first.items()}


def _valid(name: str) -> str:
    bare = re.sub(r"[^a-zA-Z0-9_-]", "_", name)
    return bare if 0 < len(bare) <= LONGEST else _marked(bare, (name,))


def _marked(name: str, key: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:_DIGEST]
    return f"{name[: LONGEST - _DIGEST - 1]}_{digest}"
