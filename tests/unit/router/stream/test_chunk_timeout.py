import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

import pytest

from router.stream.chunk_timeout import ChunkTimeout
from tests.support.virtual_clock import run_virtually


async def spaced(*gaps: float) -> AsyncGenerator[int, None]:
    """0, 1, 2, ..., each after its gap in seconds."""
    for number, gap in enumerate(gaps):
        await asyncio.sleep(gap)
        yield number


def now() -> float:
    return asyncio.get_running_loop().time()


async def heard(gaps: Sequence[float], seconds: float) -> tuple[list[int], float | None]:
    """What came before the end or the time-out, and when that time-out was."""
    patience, stream, came = ChunkTimeout(), spaced(*gaps), list[int]()
    try:
        while (number := await patience.next(stream, seconds)) is not None:
            came.append(number)
    except TimeoutError:
        return came, now()
    finally:
        patience.close()
    return came, None


def test_a_stream_that_keeps_coming_may_take_longer_than_the_patience_for_one_chunk() -> None:
    assert run_virtually(heard([0.9] * 20, 1.0)) == ([*range(20)], None)


@pytest.mark.parametrize("before", [0, 1, 5])
def test_silence_ends_after_the_patience_for_one_chunk_counted_from_the_last(before: int) -> None:
    came, ended = run_virtually(heard([0.7] * before + [9.0], 1.0))
    assert came == [*range(before)]
    assert ended == pytest.approx(before * 0.7 + 1.0)


def test_a_shorter_patience_holds_at_once() -> None:
    async def scene() -> float:
        patience, stream = ChunkTimeout(), spaced(0.1, 50.0)
        await patience.next(stream, 10.0)
        with pytest.raises(TimeoutError):
            await patience.next(stream, 1.0)
        return now()

    assert run_virtually(scene()) == pytest.approx(1.1)


def test_a_longer_patience_is_not_cut_by_the_shorter_one_before() -> None:
    async def scene() -> int | None:
        patience, stream = ChunkTimeout(), spaced(0.1, 5.0)
        await patience.next(stream, 1.0)
        return await patience.next(stream, 10.0)

    assert run_virtually(scene()) == 1


def test_time_that_the_reader_takes_does_not_count() -> None:
    async def scene() -> int | None:
        patience, stream = ChunkTimeout(), spaced(0.1, 0.1)
        await patience.next(stream, 1.0)
        await asyncio.sleep(30.0)
        return await patience.next(stream, 1.0)

    assert run_virtually(scene()) == 1


def test_a_cancellation_from_outside_stays_one() -> None:
    async def scene() -> bool:
        task = asyncio.create_task(heard([9.0], 5.0))
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert run_virtually(scene())


def test_after_a_time_out_the_task_can_go_on() -> None:
    async def scene() -> tuple[int, float]:
        await heard([9.0], 1.0)
        await asyncio.sleep(2.0)
        return asyncio.current_task().cancelling(), now()  # type: ignore[union-attr]

    assert run_virtually(scene()) == (0, 3.0)


@pytest.mark.parametrize("close", [True, False])
def test_a_timer_that_outlives_the_wait_cancels_nobody(close: bool) -> None:
    async def scene() -> float:
        patience = ChunkTimeout()
        await patience.next(spaced(0.1), 1.0)
        if close:
            patience.close()
        await asyncio.sleep(5.0)
        return now()

    assert run_virtually(scene()) == pytest.approx(5.1)


def test_chunks_may_be_waited_for_in_one_task_after_another() -> None:
    async def scene() -> list[int | None]:
        patience, stream = ChunkTimeout(), spaced(0.5, 0.5, 0.5)
        wait: Callable[[], Awaitable[int | None]] = lambda: patience.next(stream, 0.6)  # noqa: E731
        return [await asyncio.ensure_future(wait()) for _ in range(3)]

    assert run_virtually(scene()) == [0, 1, 2]
