"""Validates SWITCHBOARD_DATABASE_URL: PostgreSQL URLs and SQLite file URLs."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

POSTGRES_SCHEMES: Final = ("postgresql", "postgres")
SQLITE_PREFIX: Final = "sqlite:///"
CHECKPOINTS_FILE: Final = "checkpoints.db"
"""Where earlier versions stored checkpoints, beside the SQLite file, which must have another name."""

INVALID_DATABASE_URL: Final = (
    "must be postgresql://user:password@host:port/database (or postgres://...; percent-encode special characters of "
    f"the password, such as %40 for @), or {SQLITE_PREFIX}path/to/file.db ({SQLITE_PREFIX}/path for an absolute path); "
    f"the file must not be named {CHECKPOINTS_FILE}"
)


def is_database_url(url: str) -> bool:
    """Whether `url` is a PostgreSQL database, on one or several hosts, or a SQLite file."""
    if url.startswith(SQLITE_PREFIX):
        return _is_file(url.removeprefix(SQLITE_PREFIX))
    try:
        parts = urlsplit(url)
        hosts = [urlsplit(f"//{host}") for host in parts.netloc.rpartition("@")[2].split(",")]
        has_hosts = all(host.hostname and host.port != 0 for host in hosts)
    except ValueError:  # a port that is not a number
        return False
    # libpq also accepts the host, often a socket's folder, as a query parameter.
    has_host_parameter = not parts.netloc.rpartition("@")[2] and "host" in parse_qs(parts.query)
    has_database = bool(parts.path.strip("/")) and not parts.fragment
    return parts.scheme in POSTGRES_SCHEMES and has_database and (has_hosts or has_host_parameter)


def _is_file(path: str) -> bool:
    unsupported = "?" in path or "\0" in path or path.startswith(":") or path.endswith("/")
    return not unsupported and Path(path).name not in ("", ".", "..", CHECKPOINTS_FILE)
