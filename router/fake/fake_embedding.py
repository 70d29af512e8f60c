"""Embeddings in process, for a deployment `fake/...` with `mode: embedding`: no key, no network, always the same.

A text becomes the bag of its words: texts that share words are near each other, and all others far.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from hashlib import blake2b
from math import sqrt

from config.errors import CredentialsRefused
from config.models.deployments import Deployment
from router.fake.fake_failures import NAMED, SILENCE, failure, is_failure
from router.fake.timing import TokenTimer, split_timing

DIMENSIONS = 256

# Chinese, Japanese and Korean are written without spaces: there each character is a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


async def fake_embeddings(deployment: Deployment, texts: Sequence[str]) -> list[list[float]]:
    """One vector for each text. A failure's name (`fake/429`, `fake/silent`) fails, a timing (`?first=3s`) is kept.

    Raises:
        SwitchboardError: what the name asks for; CredentialsRefused when it is neither `embedding` nor a failure.
    """
    try:
        name, timing = split_timing(deployment.model.removeprefix("fake/"))
    except ValueError as exc:
        raise CredentialsRefused(f"the fake model's timing: {exc}", status=404) from exc
    await TokenTimer(timing).wait_for_token()
    if name in SILENCE:
        await asyncio.get_running_loop().create_future()
    if is_failure(name):
        raise failure(name)
    if name != "embedding":
        known = ", ".join(f"fake/{each}" for each in ("embedding", *NAMED, "429", "503"))
        raise CredentialsRefused(f"{deployment.model!r} is no fake model that embeds; there are {known}", status=404)
    return [_bag_of_words(text) for text in texts]


def _bag_of_words(text: str) -> list[float]:
    bag = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.casefold()):
        digest = blake2b(word.encode(errors="surrogatepass"), digest_size=4).digest()
        bag[int.from_bytes(digest) % DIMENSIONS] += 1.0
    length = sqrt(sum(each * each for each in bag)) or 1.0
    return [each / length for each in bag]
