import io

from rich.console import Console

from bench.figures import Measurement
from bench.servers import switchboard_with_workers
from bench.workers import WorkerComparison


def test_two_workers_are_shown_as_a_multiple_of_one():
    found = WorkerComparison(
        {1: Measurement(100.0, (90.0, 110.0)), 2: Measurement(150.0, (150.0, 150.0))}, {1: 1.0, 2: 0.55}
    )
    console = Console(width=200, file=io.StringIO())
    found.show(console)
    assert found.ratio == 1.5
    assert "2 workers reach 1.50 x the throughput of 1" in console.file.getvalue()
    assert "55%" in console.file.getvalue()


def test_the_number_of_workers_is_a_server_option():
    assert switchboard_with_workers(2).command[-2:] == ("--workers", "2")
    assert [switchboard_with_workers(number).name for number in (1, 2)] == ["1 worker", "2 workers"]
