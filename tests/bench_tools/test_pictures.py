import json
from struct import unpack

import pytest

from bench.pictures import draw, main

SMALL = 100_000
"""Bytes."""


def measured(value):
    return {"value": value, "rounds": [value * 0.9, value * 1.1], "limited": False}


@pytest.fixture
def report():
    servers = {"provider": 1.0, "switchboard": 1.1, "floor": 1.05, "litellm proxy": 30.0}
    return {
        "machine": {"cpu": "any", "cores": 2, "python": "3.11.7", "date": "2026-01-01"},
        "first_tokens": {
            "alone": {name: [40.0 * slow, 41.0 * slow] for name, slow in servers.items()},
            "crowd": {name: [200.0 * slow + number for number in range(100)] for name, slow in servers.items()},
        },
        "throughput": {
            name: {str(callers): measured(400.0 / slow) for callers in (1, 2, 4, 8, 16, 32, 64)}
            for name, slow in servers.items()
        },
        "memory": {name: [[turns, 200.0] for turns in range(0, 10_000, 200)] for name in list(servers)[1:]},
    }


def test_every_picture_is_a_small_png(report, tmp_path):
    files = draw(report, tmp_path)
    assert [file.name for file in files] == ["first-token.png", "throughput.png", "memory.png"]
    for file in files:
        content = file.read_bytes()
        width, height = unpack(">II", content[16:24])
        assert content.startswith(b"\x89PNG")
        assert 600 < width < 1200
        assert 300 < height < 800
        assert len(content) < SMALL


def test_a_run_without_a_single_whole_turn_can_be_drawn(report, tmp_path):
    report["first_tokens"] = {"alone": {"switchboard": []}, "crowd": {}}
    assert len(draw(report, tmp_path)) == 3


def test_pictures_can_be_drawn_again_from_the_json(report, tmp_path, capsys):
    (tmp_path / "bench.json").write_text(json.dumps(report))
    main([str(tmp_path / "bench.json")])
    assert capsys.readouterr().out.split() == [
        str(tmp_path / name) for name in ("first-token.png", "throughput.png", "memory.png")
    ]
