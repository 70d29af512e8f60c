"""Settings of the server from the environment and `.env`, read once at startup.

The environment wins over `.env`. An empty variable counts as unset. Nothing here changes `os.environ`.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config.database_url import INVALID_DATABASE_URL, is_database_url
from config.errors import ConfigError, Problem
from config.parsing.urls import cors_origins
from config.parsing.validation import did_you_mean
from config.profile.agent_file import DEFAULT_AGENT_FILE, agent_path

PREFIX = "SWITCHBOARD_"
ENV_FILE = Path(".env")
CALLERS_FILE = Path("callers.yaml")

DRAIN_SECONDS: Final = f"{PREFIX}DRAIN_SECONDS"
"""The documented name of `drain_time`; SWITCHBOARD_DRAIN_TIME works as well, if this one is not set."""

PUBLIC_KEY_BYTES: Final = 32
"""Of Ed25519."""

URL_SECRET: Final = re.compile(r"[A-Za-z0-9._~-]{16,}")

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Settings(BaseSettings):
    """Settings; each field is read from the variable SWITCHBOARD_<NAME>. Times are in seconds.

    `docs/reference/environment.md` is made of the descriptions.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    api_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description="The callers' tokens, separated by commas. The server does not start without one, "
        "unless there is a callers.yaml.",
    )
    data_dir: Path = Field(
        default=Path("data"), description="Folder of the SQLite files, if no database is configured."
    )
    models_file: Path = Field(default=Path("models.yaml"), description="Path of models.yaml.")
    agent_file: Path = Field(default=DEFAULT_AGENT_FILE, description="Path of agent.yaml.")
    callers_file: Path | None = Field(
        default_factory=lambda: CALLERS_FILE if CALLERS_FILE.is_file() else None,
        description="Path of callers.yaml: tokens with limits. Default: `callers.yaml`, if it exists.",
    )
    log_level: LogLevel = Field(default="INFO", description="`DEBUG`, `INFO`, `WARNING` or `ERROR`.")
    log_json: bool = Field(default=False, description="One JSON object per line instead of readable lines.")
    log_content: bool = Field(
        default=False,
        description="`true`, for debugging: lines show messages, answers, arguments and results of tools, texts of "
        "providers and exceptions, and what MCP servers write to their standard error. Otherwise nothing of it is "
        "logged, and of other libraries no line of the level `DEBUG`.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on; `0.0.0.0` for all, as in a container.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    max_body_bytes: int = Field(
        default=2 * 1024 * 1024, gt=0, description="Maximum size of a request; a larger one gets a 413."
    )
    max_body_memory: int = Field(
        default=128 * 1024 * 1024,
        gt=0,
        description="Bytes of the requests above 64 KiB that each process holds at once, until they are answered. "
        "Further ones wait, unread, for up to ten seconds; then a 503 with `Retry-After`.",
    )
    max_parallel_turns: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of turns that each process runs at once; as many more wait for up to a second, "
        "others get a 503. Default: no limit.",
    )
    max_tools: int = Field(
        default=128,
        ge=1,
        description="Maximum number of tools in a request; more get a 400. The default is OpenAI's limit.",
    )
    head_timeout: float = Field(
        default=10.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds for the request line and the headers, from the connection on; then a 408.",
    )
    body_timeout: float = Field(
        default=30.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds for the body, from the end of the headers; then a 408.",
    )
    max_unauthenticated_connections: int = Field(
        default=1000,
        ge=1,
        description="Open connections of each process that have not sent a valid token; a further one closes the "
        "oldest. Never more than half of the file descriptors that the process may open (`ulimit -n`).",
    )
    drain_time: float = Field(
        default=25.0,
        ge=0,
        allow_inf_nan=False,
        validation_alias=DRAIN_SECONDS,
        description="Seconds that running turns may go on after SIGTERM. SWITCHBOARD_DRAIN_TIME is the same setting.",
    )
    keep_alive_interval: float = Field(
        default=2.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds of silence in a stream before a keep-alive comment.",
    )
    workers: int = Field(default=1, ge=1, description="Number of server processes.")
    redis_url: SecretStr | None = Field(
        default=None,
        description="`redis://...`: servers and workers share circuit breakers, `rpm`/`tpm` usage and the limits of "
        "callers, and notice each other's cancellations at once; polls of a session's status ask Redis instead of the "
        "database. It then holds what users said, as long as the session lives.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="Database of sessions, memories and statistics: `postgresql://user:password@host:port/name` or "
        "`sqlite:///path`. Default: a SQLite file in SWITCHBOARD_DATA_DIR.",
    )
    database_pool_size: int = Field(
        default=10,
        ge=1,
        description="Connections of each process; PostgreSQL uses as many again for the messages of sessions.",
    )
    metrics_public: bool = Field(default=False, description="`true`: `/metrics` needs no token.")
    metrics_dir: Path | None = Field(
        default=None,
        description="Folder that exists, in which several workers share their numbers for `/metrics`, in a temporary "
        "folder of its own. Default: the system's.",
    )
    startup_wait: float = Field(
        default=30.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that a start waits for the database, before it exits with 1.",
    )
    session_ttl: int | None = Field(
        default=None,
        ge=1,
        description="Seconds after which a new session expires; a request can override it. Default: never.",
    )
    response_ttl: int = Field(
        default=30 * 24 * 3600,
        ge=1,
        description="Seconds for which a chain of stored responses of `/v1/responses` is kept after its newest one.",
    )
    session_lease: float = Field(
        default=10.0,
        ge=1,
        allow_inf_nan=False,
        description="Seconds after which a turn or a task whose server died counts as ended.",
    )
    task_queue: Literal["process", "celery"] = Field(
        default="process",
        description="Where background tasks run: `process`, in the server, or `celery`, in workers; needs Redis.",
    )
    task_concurrency: int = Field(
        default=8, ge=1, description="Background tasks that a server or a worker runs at the same time."
    )
    task_ttl: int = Field(
        default=24 * 3600, ge=1, description="Seconds that a background task and its result are kept after its end."
    )
    public_url: str | None = Field(
        default=None,
        description="The address at which phone carriers reach this server, such as `https://phone.example.com`; they "
        "sign it. Default: what the request says, which a proxy may have changed.",
    )
    twilio_auth_token: SecretStr | None = Field(
        default=None, description="Auth token of the Twilio account whose signed requests open phone lines."
    )
    telnyx_public_key: str | None = Field(
        default=None, description="Public key of the Telnyx account whose signed requests open phone lines."
    )
    retell_secret: SecretStr | None = Field(
        default=None,
        description="Lets Retell connect to `wss://HOST/phone/retell/SECRET`: at least 16 letters, digits, `-`, `_`, "
        "`.` or `~`. Retell signs nothing, so whoever knows the address can take calls. Default: off.",
    )
    console_edit: bool = Field(default=False, description="`true`: the console may save models.yaml.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Origins whose web pages may call the API, separated by commas: "
        "`https://app.example.com,http://localhost:5173`. `*` is all. Whoever sees such a page can read the token that "
        "it sends.",
    )

    @field_validator("metrics_dir")
    @classmethod
    def _is_directory(cls, value: Path | None) -> Path | None:
        if value is not None and not os.path.isdir(value):  # which is False for a name that no system allows
            raise ValueError("there is no such folder")
        return value

    @field_validator("agent_file")
    @classmethod
    def _find_shipped_profile(cls, value: Path) -> Path:
        return agent_path(value)

    @field_validator("api_tokens", mode="before")
    @classmethod
    def _split_tokens(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        tokens = [token.strip() for token in value.split(",")]
        if any(len(token.split()) > 1 for token in tokens):
            raise ValueError("a token contains a space; separate tokens with commas")
        if not all(token.isascii() and token.isprintable() for token in tokens):
            raise ValueError(
                "a token contains a character that HTTP headers cannot carry; use ASCII letters and digits"
            )
        return tuple(token for token in tokens if token)

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        return cors_origins(value) if isinstance(value, str) else value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_redis_url(value.get_secret_value()):
            raise ValueError("must be redis://host:port/number, rediss://... for TLS, or unix:///path/to/redis.sock")
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_database_url(value.get_secret_value()):
            raise ValueError(INVALID_DATABASE_URL)
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://none")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an address such as https://phone.example.com")
        return value and value.rstrip("/")

    @field_validator("telnyx_public_key")
    @classmethod
    def _check_public_key(cls, value: str | None) -> str | None:
        try:
            is_key = value is None or len(base64.b64decode(value, validate=True)) == PUBLIC_KEY_BYTES
        except ValueError:
            is_key = False
        if not is_key:
            raise ValueError("must be the key that Telnyx shows under API Keys: 32 bytes in base64")
        return value

    @field_validator("retell_secret")
    @classmethod
    def _check_retell_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not URL_SECRET.fullmatch(value.get_secret_value()):
            raise ValueError("must have at least 16 letters, digits, '-', '_', '.' or '~': it is part of an address")
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
                "Kubernetes set this variable for a service named switchboard; "
                "set enableServiceLinks: false in the pod, or set the variable to a port number"
            )
        return value


def load_settings(env_file: Path | None = ENV_FILE, **overrides: Any) -> Settings:
    """Read the settings. `overrides` are fields by name and win over both sources; None is skipped.

    A missing `env_file` is not an error. Raises ConfigError that names every invalid variable.
    """
    check_env_file(env_file)
    fields = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(_env_file=env_file, _env_file_encoding="utf-8", **fields)
    except ValidationError as exc:
        raise ConfigError([_problem(error, env_file) for error in exc.errors(include_url=False)]) from None


def require_tokens(settings: Settings) -> None:
    """Raise ConfigError if there is neither an API token nor callers.yaml. The message has a line to add to `.env`."""
    if not settings.api_tokens and settings.callers_file is None:
        line = f"{PREFIX}API_TOKENS={secrets.token_urlsafe(24)}"
        remedy = "" if ENV_FILE.exists() else "Run `switchboard init`, which writes a .env with one. Or: "
        raise ConfigError([Problem(f"no API token is set. {remedy}Add this line to .env:\n\n    {line}\n")])


def require_relay_secret(settings: Settings) -> None:
    """Raise ConfigError if nothing secret signs the addresses that Telnyx connects to."""
    if settings.telnyx_public_key is not None and not settings.api_tokens:
        problem = f"needs a token in {PREFIX}API_TOKENS, from which the server signs the addresses of calls"
        raise ConfigError([Problem(problem, key=f"{PREFIX}TELNYX_PUBLIC_KEY")])


def queue_url(settings: Settings) -> str:
    """The address of Celery's Redis. Raises ConfigError without one."""
    if settings.redis_url is None:
        raise ConfigError([Problem("Celery needs Redis: set its address", key=f"{PREFIX}REDIS_URL")])
    return settings.redis_url.get_secret_value()


def require_queue(settings: Settings) -> None:
    """Raise ConfigError if the queue of background tasks is on Celery, and there is no Redis for it."""
    if settings.task_queue == "celery":
        queue_url(settings)


def require_worker_queue(settings: Settings) -> None:
    """Raise ConfigError if no task would come to a worker."""
    if settings.task_queue != "celery":
        problem = "must be celery, for the servers too: otherwise no task comes to a worker"
        raise ConfigError([Problem(problem, key=f"{PREFIX}TASK_QUEUE")])
    queue_url(settings)


def load_environment(env_file: Path | None = ENV_FILE) -> dict[str, str]:
    """The variables that `os.environ/NAME` refers to: those of the environment and of `env_file`, without empty ones.

    Raises ConfigError if `env_file` cannot be read.
    """
    check_env_file(env_file)
    stored = dotenv_values(env_file, encoding="utf-8") if env_file else {}
    return {name: value for name, value in [*stored.items(), *os.environ.items()] if value}


def unknown_settings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """A warning for each SWITCHBOARD_ variable that is not a setting.

    It is not an error, because Kubernetes sets such variables for a service named switchboard.
    """
    known = {DRAIN_SECONDS, *(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return tuple(f"{name} is not a setting{did_you_mean(name, known)}" for name in unknown)


def check_env_file(env_file: Path | None) -> None:
    """Raise ConfigError with every invalid line of the file. A missing file is not an error."""
    if env_file is None or not env_file.exists():
        return
    try:
        with env_file.open(encoding="utf-8") as stream:
            invalid = [binding.original.line for binding in parse_stream(stream) if binding.error]
    except UnicodeDecodeError:
        raise ConfigError([Problem("the file is not UTF-8 text", file=env_file)]) from None
    except OSError as exc:
        raise ConfigError([Problem(f"the file cannot be read: {exc.strerror}", file=env_file)]) from exc
    if invalid:
        raise ConfigError(
            [Problem("the line must have the form NAME=value", file=env_file, line=line) for line in invalid]
        )


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        number = parts.path.removeprefix("/")
        complete = parts.hostname and parts.port != 0 and (not number or number.isdecimal())
    except ValueError:  # a port that is not a number
        return False
    return bool(parts.path) if parts.scheme == "unix" else parts.scheme in ("redis", "rediss") and bool(complete)


def _problem(error: Any, env_file: Path | None) -> Problem:
    """The error as a Problem. It never quotes the value, which may be a secret."""
    name = f"{PREFIX}{str(error['loc'][0]).upper().removeprefix(PREFIX)}"
    message = str(error["ctx"]["error"]) if error["type"] == "value_error" else error["msg"]
    message = message.replace("Input should be", "must be").partition(", unable")[0]
    in_file = env_file is not None and name not in os.environ
    return Problem(message, file=env_file if in_file else None, key=name)
