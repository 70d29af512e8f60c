from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import isclose, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agent.memory.embeddings import COOLDOWN, TEXT_CHARS, CooldownEmbedder, nearest, pack
from config.errors import RequestRejected
from config.models.deployments import Deployment
from router.embedding import Embedder
from tests.support.virtual_clock import run_virtually

numbers = st.floats(-1000, 1000, allow_nan=False)
vectors = st.lists(numbers, min_size=3, max_size=3).filter(lambda each: max(map(abs, each)) > 0.01)


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / sqrt(sum(a * a for a in one)) / sqrt(sum(b * b for b in other))


def test_a_number_takes_four_bytes_in_the_same_order_on_every_machine() -> None:
    assert pack([3.0, 4.0]) == b"\x9a\x99\x19\x3f\xcd\xcc\x4c\x3f"


@given(st.lists(vectors, min_size=1, max_size=10), vectors, st.integers(1, 10))
def test_the_nearest_are_those_of_the_greatest_cosine(rows: list[list[float]], query: list[float], limit: int) -> None:
    found = nearest(pack(query), [(at, pack(row)) for at, row in enumerate(rows)], limit)
    assert len(found) == len(set(found)) == min(limit, len(rows))
    best = sorted((cosine(query, row) for row in rows), reverse=True)
    assert all(isclose(cosine(query, rows[at]), best[n], abs_tol=1e-5) for n, at in enumerate(found))


def test_equals_keep_their_order_and_other_lengths_are_left_out() -> None:
    rows = [("a", pack([1, 0])), ("refused", b""), ("b", pack([2, 0])), ("other", pack([1, 0, 0])), ("c", pack([1, 0]))]
    assert nearest(pack([1, 0]), rows, 5) == ["a", "b", "c"]


def test_a_vector_of_zeros_is_near_nothing() -> None:
    assert pack([0.0, 0.0]) == bytes(8)
    assert nearest(pack([1, 0]), [("nothing", bytes(8)), ("near", pack([1, 1]))], 1) == ["near"]


# An embedder that may be away


class Rig:
    """An embedder embedder over `fake/...` deployments that the test exchanges."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.now = 0.0
        self.asked = 0
        self.embedder = CooldownEmbedder(Embedder("vectors", self._deployments), lambda: self.now)

    def _deployments(self) -> list[Deployment]:
        self.asked += 1
        return [Deployment(id="v", group="vectors", model=self.model)]

    async def embed(self, text: str = "Hi") -> list[bytes] | None:
        return await self.embedder.embed([text], 2.0)


async def test_it_gives_packed_vectors() -> None:
    vectors = await Rig("fake/embedding").embedder.embed(["Hi", "Ho"], 2.0)
    assert vectors is not None and [len(each) for each in vectors] == [1024, 1024]


async def test_one_that_failed_rests_and_is_asked_again_later() -> None:
    rig = Rig("fake/503")
    with capture_logs():
        assert await rig.embed() is None
        rig.model, rig.asked, rig.now = "fake/embedding", 0, COOLDOWN - 0.1
        assert await rig.embed() is None
        assert rig.asked == 0
        rig.now = COOLDOWN
        assert await rig.embed() is not None


async def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    rig = Rig("fake/503")
    with capture_logs() as logs:
        for _ in range(3):
            assert await rig.embed() is None
            rig.now += COOLDOWN
        rig.model = "fake/embedding"
        await rig.embed()
        await rig.embed()
    ours = [each["event"] for each in logs if each["event"] in ("embedding_unavailable", "embedding_recovered")]
    assert ours == ["embedding_unavailable", "embedding_recovered"]


def test_a_slow_one_is_waited_for_only_so_long() -> None:
    async def waited() -> float:
        with capture_logs() as logs:
            assert await Rig("fake/embedding?first=4s").embed() is None
        assert "no answer within 2 s" in str(logs)
        return asyncio.get_running_loop().time()

    assert run_virtually(waited()) == 2.0


async def test_a_refused_text_is_the_texts_fault_when_others_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("fake/embedding")
    embed = Embedder.embed

    async def refusing(self: Embedder, texts: Sequence[str]) -> list[list[float]]:
        if "bad" in texts:
            raise RequestRejected("refused")
        return await embed(self, texts)

    monkeypatch.setattr(Embedder, "embed", refusing)
    with pytest.raises(RequestRejected):
        await rig.embed("bad")
    assert await rig.embed("good") is not None


async def test_one_that_refuses_every_text_is_away() -> None:
    rig = Rig("fake/400")
    with capture_logs() as logs:
        assert await rig.embed() is None
    assert "refuses every text" in logs[-1]["reason"]
    rig.asked = 0
    assert await rig.embed() is None and rig.asked == 0


async def test_a_bug_in_it_costs_no_turn_and_is_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(self: Embedder, texts: Sequence[str]) -> list[list[float]]:
        raise KeyError("oops")

    monkeypatch.setattr(Embedder, "embed", crash)
    with capture_logs() as logs:
        assert await Rig("fake/embedding").embed() is None
    assert logs[0]["event"] == "embedding_crashed" and logs[0]["exc_info"]


async def test_a_long_text_is_cut_to_what_models_read() -> None:
    rig = Rig("fake/embedding")
    assert await rig.embed("a " * (TEXT_CHARS // 2)) == await rig.embed("a " * TEXT_CHARS + "b")


async def test_cancelling_goes_through() -> None:
    asking = asyncio.create_task(Rig("fake/silent").embed())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
