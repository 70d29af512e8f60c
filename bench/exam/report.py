"""The results of an exam as a table, for the terminal or for docs/failover.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.exam.profile import ExamProfile
from bench.exam.runner import ScenarioResult

COLOURS = {"pass": "green", "partial": "yellow", "fail": "red"}
COLUMNS = ("scenario", "verdict", "attempts", "providers asked", "first token", "total")


def show(results: Sequence[ScenarioResult], profile: ExamProfile, console: Console) -> None:
    """Print the table and the notes of the scenarios."""
    table = Table(title=f"Failover exam, {profile.name} profile", title_justify="left")
    table.add_column(COLUMNS[0])
    for name in COLUMNS[1:]:
        table.add_column(name, justify="right")
    for result in results:
        title, verdict, *figures = _cells(result)
        table.add_row(title, f"[{COLOURS[verdict]}]{verdict}[/]", *figures)
    console.print(table)
    for result in results:
        for note in result.notes:
            console.print(f"{result.name}: {note}", markup=False, highlight=False)
    console.print(summary(results), markup=False)


def markdown(results: Sequence[ScenarioResult], profile: ExamProfile) -> str:
    """Return the table for docs/failover.md."""
    timeouts = profile.timeouts
    lines = [
        f"{summary(results)} (`first_token_timeout` {timeouts.first_token_timeout:g} s, "
        f"`stall_timeout` {timeouts.stall_timeout:g} s, `turn_deadline` {timeouts.turn_deadline:g} s, "
        f"`cooldown_time` {profile.cooldown:g} s)",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'|'.join(['---'] * 2 + ['---:'] * (len(COLUMNS) - 2))}|",
    ]
    lines += [f"| {' | '.join(_cells(result))} |" for result in results]
    return "\n".join(lines)


def summary(results: Sequence[ScenarioResult]) -> str:
    """Count the verdicts."""
    count = Counter(result.verdict for result in results)
    more = [f"{count[verdict]} {verdict}" for verdict in ("partial", "fail") if count[verdict]]
    return f"{count['pass']} of {len(results)} pass" + "".join(f", {each}" for each in more)


def _cells(result: ScenarioResult) -> tuple[str, ...]:
    return (
        result.title,
        result.verdict,
        str(result.attempts or "-"),
        str(result.requests or "-"),
        "-" if result.first_token is None else f"{result.first_token:.2f} s",
        f"{result.seconds:.2f} s" if result.seconds else "-",
    )
