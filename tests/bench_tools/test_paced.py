import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.paced import most_held


def server(limit, *, hiccups=()):
    """Holds up to `limit` streams; the tries with these numbers, counted from 0, fail all the same."""
    tries = []

    async def holds(callers):
        tries.append(callers)
        return callers <= limit and len(tries) - 1 not in hiccups

    return holds, tries


@given(st.integers(0, 3000), st.sampled_from([8, 100, 1024]))
async def test_the_number_found_is_held_and_within_an_eighth_of_the_limit(limit, most):
    holds, tries = server(limit)
    found = await most_held(holds, most=most)
    reachable = min(limit, most)
    assert found <= reachable
    assert reachable - found <= max(0, found // 8)
    assert len(tries) <= 25
    assert max(tries) <= most


@pytest.mark.parametrize("hiccup", range(5))
async def test_one_hiccup_does_not_end_the_search(hiccup):
    undisturbed, _ = server(100)
    disturbed, _ = server(100, hiccups=[hiccup])
    assert await most_held(disturbed) == await most_held(undisturbed)


async def test_a_server_that_holds_none_has_none():
    holds, _ = server(0)
    assert await most_held(holds) == 0
