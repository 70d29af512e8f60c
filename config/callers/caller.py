"""Callers: who may use the server with which token, and what they may use."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

HASH_PREFIX = "sha256:"
CARRIERS: Final = frozenset({"twilio", "telnyx", "retell"})
"""The callers of phone lines that carriers open: they have no token, and are verified in other ways."""

LONG_AGO = datetime.min.replace(tzinfo=UTC)

_TOKEN_ID = re.compile(r"[0-9a-f]{12}")


def token_hash(token: str) -> str:
    """The hash of a token, as callers.yaml has it."""
    return HASH_PREFIX + hashlib.sha256(token.encode()).hexdigest()


def token_id(digest: bytes) -> str:
    """How a token of SWITCHBOARD_API_TOKENS is called in the statistics, by its SHA-256 digest."""
    return digest.hex()[:12]


def is_token_id(name: str) -> bool:
    """Whether `name` is that of a token of SWITCHBOARD_API_TOKENS. No caller in callers.yaml can have it."""
    return _TOKEN_ID.fullmatch(name) is not None


@dataclass(frozen=True)
class Caller:
    """One entry of callers.yaml.

    `models` are model names, in which `*` matches any text; None allows all. After `expires` the token is refused; None
    is never. With `own_users` the caller sees only the users, sessions, memories and conversations that it made.
    Of the limits, `monthly_budget` is in US dollars, and None is no limit.
    """

    name: str
    token_hash: str = field(repr=False)
    models: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel_turns: int | None = None
    monthly_budget: float | None = None
    expires: datetime | None = None
    own_users: bool = False

    @property
    def limits_usage(self) -> bool:
        """Whether requests, tokens or turns of the caller are limited."""
        return (self.requests_per_minute, self.tokens_per_minute, self.parallel_turns) != (None, None, None)

    def may_use(self, *names: str) -> bool:
        """Whether `models` allows one of the names."""
        return self.models is None or any(self._allowed.fullmatch(name) for name in names)

    def has_expired(self) -> bool:
        return self.expires is not None and datetime.now(UTC) >= self.expires

    def stored_user(self, user_id: str) -> str:
        """The id under which the caller's user is stored. No other caller with `own_users` can have the same one."""
        return f"{self.name}:{user_id}" if self.own_users else user_id

    def shown_user(self, stored: str) -> str | None:
        """The caller's own id of a stored user; None if the user is another caller's."""
        if not self.own_users:
            return stored
        name, colon, user_id = stored.partition(":")
        return user_id if colon and name == self.name else None

    @cached_property
    def _allowed(self) -> re.Pattern[str]:
        patterns = [".*".join(map(re.escape, each.split("*"))) for each in self.models or ()]
        return re.compile("|".join(patterns) or r"(?!)", re.DOTALL)


class Callers:
    """An immutable snapshot of callers.yaml."""

    def __init__(self, callers: Iterable[Caller] = ()) -> None:
        self.by_name: Mapping[str, Caller] = {each.name: each for each in callers}
        self._by_hash = {each.token_hash: each for each in self.by_name.values()}

    def with_digest(self, digest: bytes) -> Caller | None:
        """The caller whose token has this SHA-256 digest; None if there is none."""
        # The time of a look-up tells nothing: nobody can choose the digest of what they send.
        return self._by_hash.get(HASH_PREFIX + digest.hex())


class LiveCallers:
    """A mutable reference to the current callers. Without callers.yaml, `current` is None and nobody is limited."""

    def __init__(self, callers: Callers | None = None) -> None:
        self.current = callers

    def with_digest(self, digest: bytes) -> Caller | None:
        """See `Callers.with_digest`."""
        return None if self.current is None else self.current.with_digest(digest)

    def get(self, name: str | None) -> Caller | None:
        """The caller with this name. None for an operator, which has one of SWITCHBOARD_API_TOKENS.

        None for a phone carrier, too, unless callers.yaml has one with its name. A caller that was removed from
        callers.yaml while a request or a task of it waited may do nothing.
        """
        if self.current is None or name is None or is_token_id(name):
            return None
        if name in CARRIERS and self.listed(name) is None:
            return None
        return self.listed(name) or Caller(name, "", models=(), expires=LONG_AGO, own_users=True)

    def listed(self, name: str | None) -> Caller | None:
        """The caller with this name in callers.yaml."""
        return None if self.current is None or name is None else self.current.by_name.get(name)

    def may_use(self, name: str | None, *models: str) -> bool:
        """Whether the caller called `name` may use a model with one of these names."""
        caller = self.get(name)
        return caller is None or caller.may_use(*models)

    def owner(self, name: str | None) -> str | None:
        """The name of a caller that sees only what it made; None for one that sees everything."""
        caller = self.get(name)
        return name if caller is not None and caller.own_users else None

    def stored_user(self, name: str | None, user_id: str) -> str:
        """See `Caller.stored_user`."""
        caller = self.get(name)
        return user_id if caller is None else caller.stored_user(user_id)

    def shown_user(self, name: str | None, stored: str) -> str | None:
        """See `Caller.shown_user`."""
        caller = self.get(name)
        return stored if caller is None else caller.shown_user(stored)
