"""Settings of the server, from the environment and `.env`: read once at the start, then passed on.

The environment wins over `.env`, and an empty variable counts as not set. Nothing here changes `os.environ`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config.database_url import DATABASE_URLS, is_database_url
from config.errors import ConfigError, Problem
from config.profile.agent_file import DEFAULT_AGENT_FILE
from config.reading.sections import nearest

PREFIX = "SWITCHBOARD_"
ENV_FILE = Path(".env")

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Settings(BaseSettings):
    """Each field is the variable SWITCHBOARD_<NAME>. `keep_alive_interval` is in seconds.

    `redis_url` is where several servers or workers share what they learn; without it each goes by its own memory.
    `host` is this machine alone unless it is set: a tunnel reaches that, and a container sets 0.0.0.0.
    `database_url` None means a SQLite file in `data_dir`. Each process holds up to `database_pool_size` connections for
    the tables, and on PostgreSQL as many again for checkpoints; it waits `startup_wait` seconds for the database.
    `session_ttl` is the seconds after which a new session expires; None is never. `session_lease` is the seconds after
    which a turn counts as dead when nothing is heard of its server; all servers' clocks must agree to well within that.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    api_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    data_dir: Path = Path("data")
    models_file: Path = Path("models.yaml")
    agent_file: Path = DEFAULT_AGENT_FILE
    log_level: LogLevel = "INFO"
    log_json: bool = False
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    max_body_bytes: int = Field(default=2 * 1024 * 1024, gt=0)
    keep_alive_interval: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    workers: int = Field(default=1, ge=1)
    redis_url: SecretStr | None = None
    database_url: SecretStr | None = None
    database_pool_size: int = Field(default=10, ge=1)
    startup_wait: float = Field(default=30.0, ge=0, allow_inf_nan=False)
    session_ttl: int | None = Field(default=None, ge=1)
    session_lease: float = Field(default=10.0, ge=1, allow_inf_nan=False)

    @field_validator("api_tokens", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        tokens = [token.strip() for token in value.split(",")]
        if any(len(token.split()) > 1 for token in tokens):
            raise ValueError("a token has a space in it; put commas between tokens")
        if not all(token.isascii() and token.isprintable() for token in tokens):
            raise ValueError("a token has a character in it that no HTTP header can carry; use letters and digits")
        return tuple(token for token in tokens if token)

    @field_validator("redis_url")
    @classmethod
    def _for_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_redis_url(value.get_secret_value()):
            raise ValueError("must be redis://host:port/number, rediss://... for TLS, or unix:///path/to/the.sock")
        return value

    @field_validator("database_url")
    @classmethod
    def _for_a_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_database_url(value.get_secret_value()):
            raise ValueError(DATABASE_URLS)
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("port", mode="before")
    @classmethod
    def _not_a_service_link(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("tcp://"):
            raise ValueError(
                "this is Kubernetes' variable for a service named switchboard; "
                "set enableServiceLinks: false, or set the port itself"
            )
        return value


def load_settings(env_file: Path | None = ENV_FILE, **overrides: Any) -> Settings:
    """Read the settings; `overrides` (fields by name, None is skipped) win over both sources.

    Raises ConfigError that names each variable at fault. A missing `env_file` is none.
    """
    check_env_file(env_file)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(_env_file=env_file, _env_file_encoding="utf-8", **given)
    except ValidationError as exc:
        raise ConfigError([_problem(error, env_file) for error in exc.errors(include_url=False)]) from None


def require_tokens(settings: Settings) -> None:
    """Raise ConfigError, with the line to add, when nobody could call this server."""
    if not settings.api_tokens:
        line = f"{PREFIX}API_TOKENS={secrets.token_urlsafe(24)}"
        raise ConfigError([Problem(f"no API token is set. Add this line to .env:\n\n    {line}\n")])


def environment(env_file: Path | None = ENV_FILE) -> dict[str, str]:
    """What is set, and not empty, in the environment or in `env_file`; this is what `os.environ/NAME` refers to.

    Raises ConfigError for an `env_file` that cannot be read.
    """
    check_env_file(env_file)
    stored = dotenv_values(env_file, encoding="utf-8") if env_file else {}
    return {name: value for name, value in [*stored.items(), *os.environ.items()] if value}


def unknown_settings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """A warning for each SWITCHBOARD_ variable that is no setting.

    No error, because Kubernetes makes such variables by itself for a service that is named switchboard.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return tuple(f"{name} is no setting{nearest(name, known)}" for name in unknown)


def check_env_file(env_file: Path | None) -> None:
    """Raise ConfigError with every line of the file that cannot be read. A missing file is fine."""
    if env_file is None or not env_file.exists():
        return
    try:
        with env_file.open(encoding="utf-8") as stream:
            broken = [binding.original.line for binding in parse_stream(stream) if binding.error]
    except UnicodeDecodeError:
        raise ConfigError([Problem("the file is not UTF-8 text", file=env_file)]) from None
    except OSError as exc:
        raise ConfigError([Problem(f"the file cannot be read: {exc.strerror}", file=env_file)]) from exc
    if broken:
        raise ConfigError([Problem("this line is not NAME=value", file=env_file, line=line) for line in broken])


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        number = parts.path.removeprefix("/")
        complete = parts.hostname and parts.port != 0 and (not number or number.isdecimal())
    except ValueError:  # a port that is no number
        return False
    return bool(parts.path) if parts.scheme == "unix" else parts.scheme in ("redis", "rediss") and bool(complete)


def _problem(error: Any, env_file: Path | None) -> Problem:
    """The value is not quoted, because it may be a secret."""
    name = f"{PREFIX}{str(error['loc'][0]).upper()}"
    message = str(error["ctx"]["error"]) if error["type"] == "value_error" else error["msg"]
    message = message.replace("Input should be", "must be").partition(", unable")[0]
    in_file = env_file is not None and name not in os.environ
    return Problem(message, file=env_file if in_file else None, key=name)
