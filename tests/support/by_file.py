"""Gives whole files to the processes of pytest-xdist, so that a server for all tests of a file starts once."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

BROWSER = "tests/browser/"


class ByFile(LoadFileScheduling):
    """The tests with a browser go to one process, because all share it."""

    def _split_scope(self, nodeid: str) -> str:
        return BROWSER if nodeid.startswith(BROWSER) else super()._split_scope(nodeid)
