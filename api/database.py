"""Opens the database that the settings name."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from agent.storage.database import Database, open_database
from config.settings import Settings


def open_configured_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """The database with its tables up to date, as a context manager. Raises as `open_database` does."""
    url = settings.database_url.get_secret_value() if settings.database_url else None
    return open_database(url, settings.data_dir, settings.database_pool_size, settings.startup_wait)


async def wait_for_database(settings: Settings) -> str:
    """Wait until the database can be used, and bring its tables up to date. Raises as `open_database` does.

    Returns the database's name: the path of a file, or the host and the name without user and password.
    """
    async with open_configured_database(settings) as database:
        return str(database.backend)
