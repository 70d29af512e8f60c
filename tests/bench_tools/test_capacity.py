import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.capacity import find_capacity


def server(limit, *, disturbed_attempts=()):
    """Sustains up to `limit` streams; attempts with these indexes fail anyway."""
    attempts = []

    async def sustains(callers):
        attempts.append(callers)
        return callers <= limit and len(attempts) - 1 not in disturbed_attempts

    return sustains, attempts


@given(st.integers(0, 3000), st.sampled_from([8, 100, 1024]))
async def test_the_capacity_is_sustained_and_within_an_eighth_of_the_limit(limit, maximum):
    sustains, attempts = server(limit)
    found = await find_capacity(sustains, maximum=maximum)
    reachable = min(limit, maximum)
    assert found <= reachable
    assert reachable - found <= max(0, found // 8)
    assert len(attempts) <= 25
    assert max(attempts) <= maximum


@pytest.mark.parametrize("index", range(5))
async def test_one_disturbance_does_not_end_the_search(index):
    undisturbed, _ = server(100)
    disturbed, _ = server(100, disturbed_attempts=[index])
    assert await find_capacity(disturbed) == await find_capacity(undisturbed)


async def test_a_server_that_sustains_no_stream_has_capacity_zero():
    sustains, _ = server(0)
    assert await find_capacity(sustains) == 0
