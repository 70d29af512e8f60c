"""`tools` of agent.yaml: names of tools that ship, tools in Python (`module:attribute`), and tools behind HTTP.

This module reads the declarations. `agent/tools/own/` loads the code and makes the calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag

from config.parsing.env_references import REFERENCE_PREFIX
from config.parsing.sections import NotBlank, NotBool, Section
from config.parsing.validation import did_you_mean
from config.parsing.yaml_document import Document, KeyPath, format_path

KNOWN_TOOLS = ("transferCall", "endCall", "multiply", "book_hotel", "sendDigits", "playSound", "switchLanguage")
HAND_OFF_TOOLS = ("transferCall", "endCall")

CALL_TIMEOUT = 10.0
"""Default seconds for one call of an HTTP tool."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""OpenAI's rule for the names of functions."""

TEMPLATE = re.compile(r"\{([^{}]*)\}")
"""The place of an argument in a URL: `{order_id}`."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_OUR_HEADERS = re.compile(r"(?i)content-length|transfer-encoding|connection|x-switchboard-.*")


@dataclass(frozen=True, slots=True)
class PythonTool:
    """A LangChain tool or a typed function. `name` is its attribute, by which agent.yaml and personas refer to it.

    `key` and `line` are its place in agent.yaml.
    """

    name: str
    module: str
    key: str = field(default="", compare=False)
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class HttpTool:
    """A tool whose calls are HTTP requests. The URL may contain a key, so `repr` omits it.

    `parameters` is a JSON schema. `{name}` in the path or the query of the URL is replaced by that argument. `timeout`
    is in seconds, for a whole call.
    """

    name: str
    description: str
    url: str = field(repr=False)
    method: Method = "POST"
    headers: Mapping[str, SecretStr] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}}, repr=False)
    timeout: float = CALL_TIMEOUT
    key: str = field(default="", compare=False)
    line: int | None = field(default=None, compare=False)


OwnTool = PythonTool | HttpTool


def _tool_reference(text: str) -> str:
    module, colon, attribute = text.partition(":")
    if not colon:
        if text not in KNOWN_TOOLS:
            hint = did_you_mean(text, KNOWN_TOOLS) or f"; the tools are {', '.join(KNOWN_TOOLS)}, and module:attribute"
            raise ValueError(f"unknown tool {text!r}{hint}")
    elif not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise ValueError("must be module:attribute, such as my_tools:lookup_order")
    return text


def _tool_name(name: str) -> str:
    if not TOOL_NAME.fullmatch(name):
        raise ValueError("must have 1 to 64 letters, digits, - and _")
    return name


def _http_url(url: str) -> str:
    if url.startswith(REFERENCE_PREFIX):
        return url  # not set, which is reported for itself
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a number
        complete = False
    if not complete or not url.isprintable() or " " in url:
        raise ValueError("must be an HTTP URL, such as https://example.com/orders")
    if TEMPLATE.search(parts.netloc) or parts.fragment:
        raise ValueError("arguments can stand in the path and in the query only")
    return url


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header")
        if _OUR_HEADERS.fullmatch(name):
            raise ValueError(f"Switchboard sets {name} itself")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} must be printable ASCII without spaces around it")
    return headers


class HttpToolSection(Section):
    """A mapping in `tools`: a tool over HTTP."""

    name: Annotated[str, AfterValidator(_tool_name)] = Field(
        description="The name that the model sees: up to 64 letters, digits, `-` and `_`."
    )
    description: NotBlank = Field(description="Tells the model when to call it.")
    url: Annotated[str, AfterValidator(_http_url)] = Field(
        description="`{argument}` in the path or the query stands for an argument of the model, percent-encoded. Such "
        "an argument is required."
    )
    method: Annotated[Method, BeforeValidator(lambda text: text.upper() if isinstance(text, str) else text)] = Field(
        "POST", description="Default `POST`."
    )
    headers: Annotated[dict[str, str], AfterValidator(_headers)] | None = Field(
        None,
        description="Sent with each call. `os.environ/NAME` is a variable of the environment or of `.env`, here and "
        "in `url`, and must be the whole value.",
    )
    parameters: dict[str, Any] | None = Field(
        None,
        description="JSON schema of the arguments. A call that does not fit is refused before it is made.",
    )
    timeout: Annotated[float, Field(gt=0, le=600), NotBool] = Field(
        CALL_TIMEOUT, description="Seconds for a whole call. Default 10."
    )

    @property
    def schema_of_arguments(self) -> dict[str, Any]:
        """`parameters` as an object schema. The arguments in the URL are required."""
        schema = {"type": "object", "properties": {}, **(self.parameters or {})}
        if required := dict.fromkeys((*schema.get("required", ()), *TEMPLATE.findall(self.url))):
            schema["required"] = list(required)
        return schema


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "<name>"
    return "<http>" if isinstance(value, dict | HttpToolSection) else None


ToolEntry = Annotated[
    Annotated[Annotated[str, AfterValidator(_tool_reference)], Tag("<name>")]
    | Annotated[HttpToolSection, Tag("<http>")],
    Discriminator(
        _kind,
        custom_error_type="tool",
        custom_error_message="must be a tool's name, module:attribute, or a mapping (name, description, url)",
    ),
]


def unique_names(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the entries if no text is listed twice. Raises ValueError."""
    texts = [each for each in entries if isinstance(each, str)]
    for text in texts:
        if texts.count(text) > 1:
            raise ValueError(f"{text} is listed twice")
    return entries


def own_tools(entries: Sequence[str | HttpToolSection], document: Document) -> tuple[OwnTool, ...]:
    """The valid declarations, without the tools that ship."""
    made: list[OwnTool] = []
    for index, entry in enumerate(entries):
        path: KeyPath = ("tools", index)
        key, line = format_path(path), document.lines.get(path)
        if isinstance(entry, HttpToolSection):
            headers = {name: SecretStr(value) for name, value in (entry.headers or {}).items()}
            arguments = entry.schema_of_arguments
            made.append(
                HttpTool(
                    entry.name, entry.description, entry.url, entry.method, headers, arguments, entry.timeout, key, line
                )
            )
        elif ":" in entry:
            module, _, attribute = entry.partition(":")
            made.append(PythonTool(attribute, module, key, line))
    return tuple(made)


def tool_names(entries: Sequence[str | HttpToolSection]) -> tuple[str, ...]:
    """The names in `tools`, in its order."""
    return tuple(each.rpartition(":")[2] if isinstance(each, str) else each.name for each in entries)
