"""The fake embedding model, for deployments `fake/...` with `mode: embedding`. Deterministic, without key or network.

The vector of a text is its bag of words, so texts that share words are similar.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from hashlib import blake2b
from math import sqrt

from config.errors import CredentialsRefused
from config.models.deployments import Deployment
from config.models.fake_models import NAMED_FAILURES, is_failure
from router.fake.fake_failures import HANGING, failure
from router.fake.timing import TokenTimer, split_timing

DIMENSIONS = 256

# In Chinese, Japanese and Korean each character counts as a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


async def fake_embeddings(deployment: Deployment, texts: Sequence[str]) -> list[list[float]]:
    """One vector for each text. The model name may be a failure (`fake/429`) and have a timing (`?first=3s`).

    Raises:
        SwitchboardError: the failure in the model name; CredentialsRefused for an unknown name.
    """
    try:
        name, timing = split_timing(deployment.model.removeprefix("fake/"))
    except ValueError as exc:
        raise CredentialsRefused(f"the fake model's timing: {exc}", status=404) from exc
    await TokenTimer(timing).wait_for_token()
    if name in HANGING:
        await asyncio.get_running_loop().create_future()
    if is_failure(name):
        raise failure(name)
    if name != "embedding":
        known = ", ".join(f"fake/{each}" for each in ("embedding", *NAMED_FAILURES, "429", "503"))
        raise CredentialsRefused(f"{deployment.model!r} is not a fake embedding model; known are {known}", status=404)
    return [_bag_of_words(text) for text in texts]


def _bag_of_words(text: str) -> list[float]:
    bag = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.casefold()):
        digest = blake2b(word.encode(errors="surrogatepass"), digest_size=4).digest()
        bag[int.from_bytes(digest) % DIMENSIONS] += 1.0
    length = sqrt(sum(each * each for each in bag)) or 1.0
    return [each / length for each in bag]
