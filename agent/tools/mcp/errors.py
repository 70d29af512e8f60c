"""The error of MCP servers."""

from __future__ import annotations


class McpServerError(Exception):
    """An MCP server cannot be reached or did not do what was requested. The text contains no secrets."""
