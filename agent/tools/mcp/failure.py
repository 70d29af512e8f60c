"""What can go wrong with an MCP server."""

from __future__ import annotations


class McpFailure(Exception):
    """A server could not be reached, or did not do what it was asked for. The text is plain words without secrets."""
