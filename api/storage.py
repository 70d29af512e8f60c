"""The database that the settings name."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from agent.storage.database import Database, open_database
from config.settings import Settings


def database_of(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """It, with its tables up to date. Entering it raises as `open_database` does."""
    url = settings.database_url.get_secret_value() if settings.database_url else None
    return open_database(url, settings.data_dir, settings.database_pool_size, settings.startup_wait)


async def reach_database(settings: Settings) -> None:
    """Return when it can be used. Raises as `open_database` does."""
    async with database_of(settings):
        pass
