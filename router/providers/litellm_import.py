"""Imports and configures LiteLLM. All other modules use `from router.providers.litellm_import import litellm`.

The import takes seconds. By default LiteLLM also downloads a price list, prints advice to stdout and starts workers for
callbacks that are not used here.
"""

from __future__ import annotations

import logging

from config.litellm_environment import prepare_litellm

prepare_litellm()

import litellm  # noqa: E402

litellm.suppress_debug_info = True
litellm.turn_off_message_logging = True
litellm.disable_streaming_logging = True
litellm.num_retries = 0
# LiteLLM repairs requests that Anthropic or Bedrock would refuse: a prompt without messages, or a tool result without
# the reasoning before the call, which is missing when the previous step ran on another provider.
litellm.modify_params = True
# For a provider that reports no usage, LiteLLM would count tokens itself, and download a tokenizer first.
litellm.disable_token_counter = True
litellm.disable_hf_tokenizer_download = True
# Token counting is off, so the Claude tokenizer that LiteLLM holds as JSON is not needed. This frees 27 MB.
litellm.utils.json_data, litellm.utils.claude_json_str = {}, ""
for _name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
    # LiteLLM logs messages and answers. Everything that matters is raised, and logged by the router.
    logging.getLogger(_name).setLevel(logging.ERROR)
    # LiteLLM writes in its own format to stderr, beside the handlers of the program.
    logging.getLogger(_name).handlers.clear()

__all__ = ["litellm"]
