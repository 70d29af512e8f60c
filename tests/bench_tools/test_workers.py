import io

from rich.console import Console

from bench.figures import Measured
from bench.servers import switchboard
from bench.workers import Workers


def test_two_workers_are_shown_as_a_multiple_of_one():
    found = Workers({1: Measured(100.0, (90.0, 110.0)), 2: Measured(150.0, (150.0, 150.0))}, {1: 1.0, 2: 0.55})
    console = Console(width=200, file=io.StringIO())
    found.show(console)
    assert found.ratio == 1.5
    assert "2 workers do 1.50 x of what 1 does" in console.file.getvalue()
    assert "55%" in console.file.getvalue()


def test_the_number_of_workers_is_told_to_the_server():
    assert switchboard(2).command[-2:] == ("--workers", "2")
    assert [switchboard(number).name for number in (1, 2)] == ["1 worker", "2 workers"]
