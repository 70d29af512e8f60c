"""The settings of the database and of sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.settings import Settings, load_settings


def settings(tmp_path: Path, name: str, value: str) -> Settings:
    env_file = tmp_path / ".env"
    env_file.write_text(f"SWITCHBOARD_{name}='{value}'\n")
    return load_settings(env_file)


def fault(tmp_path: Path, name: str, value: str) -> str:
    with pytest.raises(ConfigError) as raised:
        settings(tmp_path, name, value)
    (problem,) = raised.value.problems
    assert problem.key == f"SWITCHBOARD_{name}"
    return problem.message


def test_defaults() -> None:
    found = load_settings(None)
    assert (found.database_url, found.database_pool_size, found.startup_wait) == (None, 10, 30.0)
    assert (found.session_ttl, found.session_lease) == (None, 10.0)


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://user:hunter2@db.example:5432/voices",
        "postgres://db/voices",
        "postgresql://user:hunter%402@[::1]:5432/voices?sslmode=require",
        "postgresql://user@a:5432,b:5433/voices?target_session_attrs=read-write",
        "postgresql:///voices?host=/run/postgresql",
        "postgresql://user:hunter2@/voices?host=/run/postgresql",
        "sqlite:///data/switchboard.db",
        "sqlite:////var/lib/switchboard/a b.db",
    ],
)
def test_the_address_of_the_database_does_not_show(tmp_path: Path, value: str) -> None:
    found = settings(tmp_path, "DATABASE_URL", value)
    assert found.database_url is not None and found.database_url.get_secret_value() == value
    assert value not in repr(found)


@pytest.mark.parametrize(
    "value",
    [
        "hunter2",
        "mysql://user:hunter2@db/voices",
        "postgresql+psycopg://user:hunter2@db/voices",
        "postgresql://user:hunter2@db",
        "postgresql://user:hunter2@db/",
        "postgresql://user:hunter2@:5432/voices",
        "postgresql://user:hunter2@db:hunter2/voices",
        "postgresql://user:hunter2@db:0/voices",
        "postgresql://user:hunter2@db:99999/voices",
        "postgresql://user:hunter2@a,/voices",
        "postgresql://user:hunter2#x@db/voices",
        "postgresql:///hunter2",
        "postgresql://[hunter2/voices",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://hunter2/a.db",
        "sqlite:///hunter2.db?mode=ro",
        "sqlite:///hunter2/",
        "sqlite:///hunter2/checkpoints.db",
        "sqlite:///..",
    ],
)
def test_another_address_is_an_error_that_says_what_is_accepted_and_does_not_quote_it(
    tmp_path: Path, value: str
) -> None:
    message = fault(tmp_path, "DATABASE_URL", value)
    assert message.startswith("must be postgresql://user:password@host:port/database (or postgres://...; ")
    assert "sqlite:///path/to/file.db" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_POOL_SIZE", "0"),
        ("STARTUP_WAIT", "-1"),
        ("STARTUP_WAIT", "inf"),
        ("SESSION_TTL", "0"),
        ("SESSION_TTL", "soon"),
        ("SESSION_LEASE", "0.9"),
        ("SESSION_LEASE", "inf"),
    ],
)
def test_numbers_that_make_no_sense_are_named(tmp_path: Path, name: str, value: str) -> None:
    assert fault(tmp_path, name, value).startswith("must be ")


def test_valid_values_are_used(tmp_path: Path) -> None:
    assert settings(tmp_path, "DATABASE_POOL_SIZE", "1").database_pool_size == 1
    assert settings(tmp_path, "STARTUP_WAIT", "0").startup_wait == 0.0
    assert settings(tmp_path, "SESSION_TTL", "3600").session_ttl == 3600
    assert settings(tmp_path, "SESSION_TTL", "").session_ttl is None
    assert settings(tmp_path, "SESSION_LEASE", "1.5").session_lease == 1.5
