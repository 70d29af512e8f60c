"""Which addresses of a database are accepted: PostgreSQL's, and SQLite's for a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

POSTGRES_SCHEMES: Final = ("postgresql", "postgres")
SQLITE_PREFIX: Final = "sqlite:///"
CHECKPOINTS_FILE: Final = "checkpoints.db"
"""Stands beside a SQLite file, so that file must have another name."""

DATABASE_URLS: Final = (
    "must be postgresql://user:password@host:port/database (or postgres://...; write the special characters of a "
    f"password as %40 and the like), or {SQLITE_PREFIX}path/to/file.db ({SQLITE_PREFIX}/path from the root) for a file "
    f"that is not named {CHECKPOINTS_FILE}"
)


def is_database_url(url: str) -> bool:
    """Whether `url` names a PostgreSQL database, on one host or several, or a SQLite file."""
    if url.startswith(SQLITE_PREFIX):
        return _is_file(url.removeprefix(SQLITE_PREFIX))
    try:
        parts = urlsplit(url)
        hosts = [urlsplit(f"//{host}") for host in parts.netloc.rpartition("@")[2].split(",")]
        addressed = all(host.hostname and host.port != 0 for host in hosts)
    except ValueError:  # a port that is no number
        return False
    # libpq also takes the host, often a socket's folder, as a parameter.
    named_apart = not parts.netloc.rpartition("@")[2] and "host" in parse_qs(parts.query)
    has_database = bool(parts.path.strip("/")) and not parts.fragment
    return parts.scheme in POSTGRES_SCHEMES and has_database and (addressed or named_apart)


def _is_file(path: str) -> bool:
    odd = "?" in path or "\0" in path or path.startswith(":") or path.endswith("/")
    return not odd and Path(path).name not in ("", ".", "..", CHECKPOINTS_FILE)
