"""Counts that can be added up and subtracted: whole numbers by group, name and field.

    {"models": {"assistant": {"turns.stop": 12, "input_tokens": 800, ...}},
     "deployments": {"assistant/1": {"attempts.ok": 12, ...}},
     "callers": {"3f2b8c1e0c5d": {"requests": 12, ...}}}

Money is counted in billionths of a dollar and time in microseconds, so that sums are exact on every server. The fields
are those that `agent.statistics.turn_counts` writes.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, Literal

import orjson

Group = Literal["models", "deployments", "callers"]
GROUPS: Final[tuple[Group, ...]] = ("models", "deployments", "callers")

Fields = Counter[str]


class Counts:
    """The counts of one span of time."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[Group, dict[str, Fields]] = {group: {} for group in GROUPS}

    def __bool__(self) -> bool:
        return any(self._groups.values())

    def of(self, group: Group, name: str) -> Fields:
        """The fields of one model, deployment or caller, to add to."""
        names = self._groups[group]
        fields = names.get(name)
        if fields is None:
            fields = names[name] = Counter()
        return fields

    def group(self, group: Group) -> dict[str, Fields]:
        """The fields of all models, deployments or callers, by name."""
        return self._groups[group]

    def total(self, group: Group) -> Fields:
        """The sum over all names of the group."""
        total: Fields = Counter()
        for fields in self._groups[group].values():
            total.update(fields)
        return total

    def add(self, other: Counts) -> None:
        for group, names in other._groups.items():
            for name, fields in names.items():
                self.of(group, name).update(fields)

    def without(self, earlier: Counts) -> Counts:
        """What was counted after `earlier`; both counted from the same beginning."""
        since = Counts()
        for group, names in self._groups.items():
            for name, fields in names.items():
                before = earlier._groups[group].get(name, Counter())
                # Never below zero: another server's newest counts may be in one of the two alone.
                if grown := {field: n - before[field] for field, n in fields.items() if n > before[field]}:
                    since._groups[group][name] = Counter(grown)
        return since

    def to_json(self) -> str:
        return orjson.dumps(self._groups).decode()

    @classmethod
    def from_json(cls, text: str) -> Counts:
        counts = cls()
        stored: dict[str, Any] = orjson.loads(text)
        for group in GROUPS:
            counts._groups[group] = {name: Counter(fields) for name, fields in stored.get(group, {}).items()}
        return counts

    @classmethod
    def sum(cls, *parts: Counts) -> Counts:
        whole = cls()
        for each in parts:
            whole.add(each)
        return whole
