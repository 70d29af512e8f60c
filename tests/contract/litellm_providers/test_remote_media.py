"""The URL of an image or a file is passed on to the provider, or refused. No lane fetches it, whatever LiteLLM does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import litellm
import orjson
import pytest
import respx
from litellm import constants
from pydantic import SecretStr

from config.errors import RequestRejected, SwitchboardError
from config.models.deployments import Deployment
from router.lanes.base import Lane, LaneRequest
from router.lanes.openai_request import provider_endpoint, request_body
from tests.contract.litellm_providers.providers import WIRES
from tests.contract.litellm_providers.wire import KEY, Wire

HOST = "images.example"
PNG = httpx.Response(200, headers={"content-type": "image/png"}, content=b"\x89PNG\r\n\x1a\n")
PASSED_ON = {"azure": ("http", "https", "odd"), "anthropic": ("https",), "cohere": ("http", "https", "odd")}
"""What each provider takes; the others take no URL of somebody else's host."""


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


PARTS = {
    "http": image(f"http://{HOST}/cat.png"),
    "https": image(f"https://{HOST}/cat"),
    "odd": image(f" HTTP://{HOST}/cat.png"),
    "bare": {"type": "image_url", "image_url": f"https://{HOST}/cat.png"},
    "file": {"type": "file", "file": {"file_id": f"http://{HOST}/a.pdf"}},
    "source": {"type": "image", "source": {"type": "url", "url": f"http://{HOST}/cat.png"}},
    "document": {"type": "document", "source": {"type": "url", "url": f"https://{HOST}/a.pdf"}},
    "storage": image("gs://bucket/cat"),
    "local": image("file:///etc/passwd"),
    "beside text": {"type": "text", "text": "Hi", "image_url": {"url": f"http://{HOST}/cat.png"}},
}


@pytest.fixture
def fetched(provider: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> respx.Route:
    """Requests to the image's host, which LiteLLM's own protection of internal addresses would not stop."""
    monkeypatch.setattr(litellm, "user_url_validation", False)
    return provider.route(host__regex=rf"{re.escape(HOST)}|storage\.googleapis\.com").mock(return_value=PNG)


async def asked(lane: Lane, deployment: Deployment, part: Any) -> SwitchboardError | None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]}]
    try:
        async for _ in lane.stream(LaneRequest(deployment, messages, {}, timeout=5)):
            pass
    except SwitchboardError as error:
        return error
    return None


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
@pytest.mark.parametrize("name", PARTS)
async def test_no_lane_fetches_what_a_caller_names(
    wire: Wire, name: str, lane: Lane, provider: respx.MockRouter, fetched: respx.Route
) -> None:
    sent = provider.route(url__startswith=wire.url.partition("?")[0]).mock(side_effect=lambda _: wire.answer())
    error = await asked(lane, wire.deployment, PARTS[name])
    assert not fetched.called
    if name in PASSED_ON.get(wire.name, ()):
        assert error is None and HOST in sent.calls.last.request.content.decode()
    elif name in ("http", "https", "odd") and wire.name not in PASSED_ON:
        assert isinstance(error, RequestRejected) and "data: URL" in str(error)
        assert not sent.called


GIGACHAT = "gigachat/GigaChat-2-Max"
OTHERS = ["bedrock/invoke/anthropic.claude-3-5-sonnet-20240620-v1:0", "vertex_ai/gemini-2.5-flash", GIGACHAT]
OTHERS += ["vertex_ai/claude-sonnet-4", "snowflake/claude-3-5-sonnet", "databricks/claude", "cohere/command-a-vision"]
OTHERS += ["ollama/llava", "replicate/llava", "watsonx/llama", "sagemaker_chat/x", "perplexity/sonar", "unknown/model"]


@pytest.mark.parametrize("model", OTHERS)
async def test_neither_does_it_for_providers_without_tests_of_their_own(
    model: str, lane: Lane, fetched: respx.Route, provider: respx.MockRouter
) -> None:
    provider.route().mock(return_value=httpx.Response(400, json={"error": {"message": "no"}}))
    params = {"vertex_project": "p", "vertex_location": "us-central1", "aws_access_key_id": "a"}
    params |= {"aws_secret_access_key": "b", "aws_region_name": "us-east-1", "project_id": "p"}
    deployment = Deployment("d", "g", model, api_key=SecretStr(KEY), api_base="https://provider.example", params=params)
    for name in ("http", "https", "file", "storage"):
        with suppress(SwitchboardError):
            await asked(lane, deployment, PARTS[name])
    assert not fetched.called


async def test_the_lean_lane_fetches_no_file_either(fetched: respx.Route) -> None:
    """LiteLLM's functions, which build its requests, would."""
    deployment = Deployment("d", "g", "openai/gpt-4.1", api_key=SecretStr(KEY), api_base="https://provider.example/v1")
    endpoint = provider_endpoint(deployment)
    messages = [{"role": "user", "content": [PARTS["file"]]}]
    with pytest.raises(RequestRejected):
        request_body(endpoint, LaneRequest(deployment, messages, {}, timeout=5))
    messages = [{"role": "user", "content": [PARTS["http"]]}]
    body = orjson.loads(request_body(endpoint, LaneRequest(deployment, messages, {}, timeout=5)))
    assert body["messages"] == messages
    assert not fetched.called


def test_litellms_downloads_are_switched_off() -> None:
    assert constants.MAX_IMAGE_URL_DOWNLOAD_SIZE_MB == 0


FETCHING = (b"safe_get(", b"_download_image")
READ = {
    "litellm_core_utils/prompt_templates/factory.py",  # Bedrock's and Gemini's images
    "litellm_core_utils/prompt_templates/image_handling.py",  # switched off
    "litellm_core_utils/token_counter.py",  # switched off with the counting of tokens
    "litellm_core_utils/url_utils.py",
    "llms/black_forest_labs/image_edit/transformation.py",  # no chat
    "llms/gigachat/file_handler.py",
    "llms/vertex_ai/batches/handler.py",  # no chat
}


def test_litellm_fetches_addresses_nowhere_else() -> None:
    """A new release may add a place. Read it, and see that `router.lanes.remote_media` refuses what it would fetch."""
    root = Path(litellm.__file__).parent
    assert {*_files_that_fetch(root, ("llms", "litellm_core_utils"))} <= READ


def _files_that_fetch(root: Path, folders: Sequence[str]) -> list[str]:
    files = [file for folder in folders for file in (root / folder).rglob("*.py")]
    return [str(each.relative_to(root)) for each in files if any(map(each.read_bytes().__contains__, FETCHING))]
