"""How many examples a property gets: few in the suite, FUZZ times as many with `make fuzz`. And values for them."""

from __future__ import annotations

import os
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FUZZ: Final = int(os.environ.get("FUZZ", "1"))

few = settings(max_examples=25 * FUZZ, derandomize=FUZZ == 1, suppress_health_check=list(HealthCheck), deadline=None)

TEXT: Final = st.text(max_size=20) | st.sampled_from(
    ["", " ", "\0", "\u2028", "1e400", "9" * 5000, "\U0001f600", "a" * 3000]
)
SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)


def json_values(keys: str = "a") -> st.SearchStrategy[Any]:
    """JSON values whose objects have keys of `keys`, separated by spaces, and sometimes others."""
    names = st.sampled_from(keys.split()) | st.text(max_size=3)
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
        max_leaves=15,
    )


def json_objects(keys: str) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects with some of `keys`."""
    return st.dictionaries(st.sampled_from(keys.split()), json_values(keys), max_size=6)
