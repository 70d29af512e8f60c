"""`/v1/embeddings`: the embedding groups of models.yaml, for OpenAI's clients."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from agent.turns import TurnService
from api.http.admission import admit
from api.http.auth import authenticated_caller
from api.http.body import read_body, request_body
from api.http.direct_route import DirectRoute
from api.http.sse import cancel_on_disconnect
from api.http.text import NOT_BLANK_SCHEMA
from config.errors import ModelNotFound, RequestError
from config.models.deployments import Registry
from config.parsing.sections import Integer
from router.embedding import Embedder

MAX_INPUTS = 2048
"""Texts in one request, as in OpenAI's API."""

CHARACTERS_PER_TOKEN = 4
"""For the estimate in `usage`; the providers count differently, and some not at all."""

routes = APIRouter(tags=["OpenAI"])


class EmbeddingRequest(BaseModel):
    """OpenAI's embedding request (https://platform.openai.com/docs/api-reference/embeddings/create)."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(None, description="An embedding group of models.yaml. Not set: the first one")
    input: str | list[Any] = Field(
        description="A text, or a list of texts",
        json_schema_extra={
            "anyOf": [
                {"type": "string", **NOT_BLANK_SCHEMA},
                {
                    "type": "array",
                    "items": {"type": "string", **NOT_BLANK_SCHEMA},
                    "minItems": 1,
                    "maxItems": MAX_INPUTS,
                },
            ]
        },
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Integer | None = Field(None, description="Must be that of the group; models.yaml decides")

    def texts(self) -> list[str]:
        """The texts to embed.

        Raises:
            RequestError: there are none, too many, an empty one, or token ids.
        """
        texts = [self.input] if isinstance(self.input, str) else self.input
        if not 0 < len(texts) <= MAX_INPUTS:
            raise RequestError(f"input must have 1 to {MAX_INPUTS} texts.", param="input")
        for number, each in enumerate(texts):
            if not isinstance(each, str):
                raise RequestError(
                    "input must be text, not token ids: they belong to one model's tokenizer. LangChain sends text "
                    "with OpenAIEmbeddings(check_embedding_ctx_length=False).",
                    param="input",
                )
            if not each.strip():
                raise RequestError(f"input[{number}] is empty.", param="input")
        return texts


async def embeddings(request: Request) -> Response:
    """One vector for each text, from the first deployment of the group that answers."""
    caller = authenticated_caller(request)
    turns: TurnService = request.state.turns
    body = await read_body(request, EmbeddingRequest, error=RequestError)
    texts = body.texts()
    registry = turns.router.registry.current
    group = _group(registry, body.model, lambda name: turns.callers.may_use(caller, name))
    standing = await admit(request)
    embedder = Embedder(group, lambda: registry.embedding(group))
    vectors = await cancel_on_disconnect(request, embedder.embed(texts))
    if body.dimensions is not None and body.dimensions != len(vectors[0]):
        raise RequestError(
            f"The vectors of {group!r} have {len(vectors[0])} dimensions; `dimensions` is set in models.yaml.",
            param="dimensions",
        )
    tokens = sum(max(1, len(each) // CHARACTERS_PER_TOKEN) for each in texts)
    if (limits := request.state.limits) is not None:
        limits.count_tokens(caller, tokens)
    answer = {
        "object": "list",
        "model": body.model or group,
        "data": [_embedding(number, each, body.encoding_format) for number, each in enumerate(vectors)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return Response(orjson.dumps(answer), headers=dict(standing), media_type="application/json")


for path, documented in (("/v1/embeddings", True), ("/embeddings", False)):
    routes.add_api_route(
        path,
        embeddings,
        methods=["POST"],
        summary="Embed texts",
        openapi_extra=request_body(EmbeddingRequest),
        include_in_schema=documented,
        route_class_override=DirectRoute,
    )


def _group(registry: Registry, model: str | None, allowed: Callable[[str], bool]) -> str:
    """The group of `model`, or the first one that is `allowed`. Raises ModelNotFound."""
    every = list(dict.fromkeys(each.group for each in registry.embeddings))
    groups = [each for each in every if allowed(each)]
    if model and allowed(model) and (named := registry.settings.model_group_alias.get(model, model)) in every:
        return named
    if not groups:
        raise ModelNotFound(
            "No embedding model is configured: models.yaml needs an entry with `model_info: {mode: embedding}`.",
            param="model",
        )
    if not model:
        return groups[0]
    raise ModelNotFound(
        f"The embedding model {model!r} does not exist. Those that do: {', '.join(groups)}.", param="model"
    )


def _embedding(number: int, vector: Sequence[float], encoding: str) -> dict[str, Any]:
    return {
        "object": "embedding",
        "index": number,
        "embedding": _base64(vector) if encoding == "base64" else vector,
    }


def _base64(vector: Sequence[float]) -> str:
    """32-bit floats, little-endian, as OpenAI's clients decode them."""
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()
