"""The one place where LiteLLM is imported: `from router.providers.litellm_import import litellm`.

Importing it takes seconds, and by default it asks the network for a price list, prints advice to stdout and starts
workers for callbacks that nobody registered here.
"""

from __future__ import annotations

import logging
import os

# Read while LiteLLM is being imported: without it start-up waits on the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
# In its other mode LiteLLM reads `.env` by itself, past what the settings say of it.
os.environ.setdefault("LITELLM_MODE", "PRODUCTION")

import litellm

litellm.suppress_debug_info = True
litellm.turn_off_message_logging = True
litellm.disable_streaming_logging = True
litellm.num_retries = 0
# Requests that Anthropic or Bedrock would refuse are mended: a prompt without a message, or a tool's result for a model
# that is to think, since it wants its thoughts back, and the step before may have run on another provider.
litellm.modify_params = True
# Where a provider names no usage LiteLLM would guess it at the end of the turn, and first fetch a tokenizer to do so.
litellm.disable_token_counter = True
litellm.disable_hf_tokenizer_download = True
# Counting tokens is off, so the tokenizer of Claude that LiteLLM keeps as JSON, as text and parsed, would only take up
# 27 MB.
litellm.utils.json_data, litellm.utils.claude_json_str = {}, ""
for _name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
    # Its log lines repeat messages and providers' answers; what matters is raised, and logged by the router.
    logging.getLogger(_name).setLevel(logging.ERROR)

__all__ = ["litellm"]
