import io
import json

from rich.console import Console

from bench.figures import Figure, Measurement
from bench.report import LIMITED, Report


def report(**more):
    values = {"switchboard": Measurement(80, (70, 90)), "floor": Measurement(160, (160,), limited=True)}
    times = {"switchboard": Measurement(5, (5,)), "floor": Measurement(20, (20,))}
    given = {
        "figures": [Figure("rate", "turns/s", True, values), Figure("time", "ms", False, times)],
        "machine": {"cpu": "any", "load before": 0.1, "versions": {"litellm": "1.2.3"}},
        "rounds": 2,
        "first_tokens": {"alone": {"switchboard": [1.0]}},
        "throughput": {"switchboard": {8: Measurement(80, (70, 90))}},
        "memory": {"switchboard": [(0, 200.0), (400, 201.0)]},
        "turns": {"provider": 1, "switchboard": 2, "floor": 3},
        "lost": {"provider": 0, "switchboard": 0, "floor": 0},
        "broken": {},
        "seconds": 1.0,
    }
    return Report(**{**given, **more})


def shown(made):
    console = Console(width=220, file=io.StringIO())
    made.show(console)
    return console.file.getvalue()


def test_the_table_says_who_does_better_whatever_the_unit():
    text = shown(report())
    assert "80.0 turns/s [70.0 - 90.0]" in text
    assert "0.50 x" in text
    assert "4.0 x" in text
    assert "litellm 1.2.3" in text
    assert "memory course: switchboard 400 turns" in text


def test_the_table_marks_what_the_load_limited():
    text = shown(report())
    assert f"160 turns/s {LIMITED}" in text
    assert "the server may be able to do more" in text
    assert LIMITED not in shown(report(figures=[]))


def test_the_table_says_what_is_wrong_with_the_run():
    assert "BROKEN" not in shown(report())
    text = shown(
        report(
            lost={"switchboard": 1},
            broken={"switchboard": ["HTTP 500"]},
            machine={"load before": 3.0},
        )
    )
    assert "BROKEN: switchboard gave 1 broken answers, for example: HTTP 500" in text
    assert "do not trust" in text


def test_the_json_holds_every_round(tmp_path):
    written = report().save(tmp_path / "bench.json")
    assert written == json.loads((tmp_path / "bench.json").read_text())
    assert written["figures"][0]["values"]["switchboard"] == {"value": 80, "rounds": [70, 90], "limited": False}
    assert written["throughput"]["switchboard"]["8"]["rounds"] == [70, 90]
    assert written["memory"]["switchboard"] == [[0, 200.0], [400, 201.0]]
