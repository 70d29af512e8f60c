"""Variables that LiteLLM reads while it is imported. Every entry point sets them before anything can import LiteLLM."""

from __future__ import annotations

import os
from typing import Final

_ALWAYS: Final = {
    # Without these, LiteLLM would download files: some at the start, which would wait for them, and some in the middle
    # of a turn, while the event loop waits.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    # Callers choose the URLs of images. LiteLLM would fetch them for providers that take none.
    "MAX_IMAGE_URL_DOWNLOAD_SIZE_MB": "0",
}


def prepare_litellm() -> None:
    """Set the variables."""
    os.environ.update(_ALWAYS)
    # In development mode LiteLLM reads `.env` by itself, whatever our settings say.
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    # LiteLLM keeps an idle connection for two minutes. Many providers close theirs after one, and LiteLLM does not send
    # a request again that meets such a connection.
    os.environ.setdefault("AIOHTTP_KEEPALIVE_TIMEOUT", "30")
