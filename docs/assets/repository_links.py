"""A hook of MkDocs for links to files of the repository outside docs/, such as `[models.yaml](../models.yaml)`."""

from __future__ import annotations

import posixpath
import re
from typing import Any

LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)#\s]*)(?:#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Let these links lead to the repository; without its address, only their text stays."""
    folder = posixpath.dirname(posixpath.join("docs", page.file.src_uri))
    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _rewritten(part, folder, config) for part in parts)


def _rewritten(text: str, folder: str, config: Any) -> str:
    def replace(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[2]))
        if path.startswith("docs/"):
            return link[0]
        repository = config.extra["repository"]
        return f"[{link[1]}]({repository}/blob/main/{path})" if repository else f"`{path}`"

    return LINK.sub(replace, text)
