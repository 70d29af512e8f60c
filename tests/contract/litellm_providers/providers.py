"""The providers that only LiteLLM reaches, for tables of tests."""

from __future__ import annotations

import pytest

from tests.contract.litellm_providers import anthropic, azure, bedrock, cohere, gemini, ollama

WIRES = (anthropic.WIRE, gemini.WIRE, azure.WIRE, ollama.WIRE, cohere.WIRE, bedrock.WIRE)
STREAMS = [pytest.param(wire, wire.stream, id=wire.name) for wire in WIRES if wire.stream]
WHOLES = [pytest.param(wire, wire.whole, id=wire.name) for wire in WIRES if wire.whole]
