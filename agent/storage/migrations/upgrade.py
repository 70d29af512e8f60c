"""Migrates the tables to the newest revision, with the Alembic scripts in `versions/`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from agent.storage.migrations.revision import VERSION_TABLE
from config.errors import ConfigError, Problem

FOLDER: Final = Path(__file__).parent


async def upgrade(engine: AsyncEngine, name: str) -> None:
    """Run all pending scripts in one transaction. `name` is the name of the database for error messages.

    Only one process may do so at a time: hold `Database.migration_lock`.

    Raises:
        ConfigError: the tables were migrated by a newer version of this program.
    """
    scripts = await asyncio.to_thread(_scripts)
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, scripts, name)


def _scripts() -> ScriptDirectory:
    scripts = ScriptDirectory(FOLDER)
    scripts.get_heads()  # reads the files, which would block the event loop
    return scripts


def _upgrade(connection: Connection, scripts: ScriptDirectory, name: str) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    current = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads()
    if unknown := sorted(set(current) - known):
        message = (
            f"the database {name} was migrated by a newer version of Switchboard (its tables are at revision "
            f"{', '.join(unknown)}, this version knows up to {', '.join(scripts.get_heads())}). Install that version "
            "again, or restore a backup from before the migration"
        )
        raise ConfigError([Problem(message, key="SWITCHBOARD_DATABASE_URL")])

    def steps(revision: Any, _: Any) -> Any:
        missing = reversed(list(scripts.iterate_revisions("head", revision, implicit_base=True)))
        return [MigrationStep.upgrade_from_script(scripts.revision_map, script) for script in missing]

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, version_table=VERSION_TABLE)
        environment.run_migrations()
