"""The metrics of `/metrics`, as one process exposes them after a turn."""

from __future__ import annotations

from agent.statistics.counts import GROUPS, Counts
from agent.statistics.turn_counts import ATTEMPTS, TURNS
from agent.tasks.store import Backlog
from api.docs.reference.tables import code, table
from api.statistics.prometheus import BREAKER_STATES, WorkerCollector
from api.statistics.worker_metrics import ProcessMetrics


def metrics() -> str:
    """A table of the metrics."""
    rows = []
    for metric in WorkerCollector([_process()], Backlog()).collect():
        labels = dict.fromkeys(name for sample in metric.samples for name in sample.labels if name != "le")
        bounds = [sample.labels["le"] for sample in metric.samples if "le" in sample.labels]
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        kind = f"histogram: {', '.join(bounds[:-1])}" if bounds else metric.type
        rows.append((code(name), ", ".join(map(code, labels)), kind, metric.documentation))
    return table(("metric", "labels", "type", "meaning"), rows)


def _process() -> ProcessMetrics:
    counts = Counts()
    for group in GROUPS:
        counts.of(group, "any").update({f"{TURNS}stop": 1, f"{ATTEMPTS}ok": 1})
    return ProcessMetrics(counts, breakers={"any": BREAKER_STATES[0]}, ready={"any": 1})
