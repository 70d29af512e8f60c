"""openapi.json: FastAPI's description of the routes, with the real answers and errors of each call."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.docs.calls import CALLS, Call
from api.docs.event_schemas import EVENT_SCHEMAS, event
from api.docs.examples import HEALTH
from api.docs.schemas import SCHEMAS, ref
from api.http.anthropic_errors import anthropic_error_object, anthropic_status
from config.errors import SwitchboardError

ERRORS: Final[dict[int, tuple[str, str, str]]] = {
    400: ("The request is invalid; `param` names the field.", "invalid_request_error", "invalid_request"),
    401: ("The token is missing, not valid or has expired.", "authentication_error", "invalid_api_key"),
    403: ("The caller may not do this; an operator may.", "permission_error", "operator_only"),
    404: (
        "The model, session, task, memory, agent, conversation or path does not exist, or not for this caller.",
        "invalid_request_error",
        "model_not_found",
    ),
    408: ("The request did not arrive in time.", "invalid_request_error", "request_timeout"),
    409: ("The state of the session or the agent does not allow the call.", "conflict_error", "session_busy"),
    413: ("The body is too large.", "invalid_request_error", "body_too_large"),
    422: ("A field is missing, unknown or invalid; `param` names it.", "invalid_request_error", "invalid_field"),
    429: (
        "A limit or the budget of the caller is reached, or that of every provider; `Retry-After` says when.",
        "rate_limit_error",
        "rate_limit_exceeded",
    ),
    431: ("The request's head is too large.", "invalid_request_error", "head_too_large"),
    502: ("The answer broke off and could not be continued.", "server_error", "answer_interrupted"),
    503: (
        "No provider or database could answer, or the server is busy.",
        "server_error",
        "all_deployments_failed",
    ),
    504: ("The turn's deadline passed.", "server_error", "deadline_exceeded"),
}
"""Status: description, and `type` and `code` of the example."""


CONNECTION_ERRORS: Final = (400, 408, 431)
"""What every path may answer, before the request is read: no HTTP, too slow, or too much."""


SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "HTTPBearer": {"type": "http", "scheme": "bearer", "description": "One of SWITCHBOARD_API_TOKENS"},
    "APIKeyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same token, for clients that cannot send Bearer; also as api-key",
    },
    "HTTPBasic": {
        "type": "http",
        "scheme": "basic",
        "description": "The same token as password, with any user name, for clients that can only be given a URL",
    },
}
"""The ways to send a token; see `api.http.auth`. As dependencies of FastAPI they would cost each request 0.1 ms."""


class DocumentedApp(FastAPI):
    """FastAPI with its documented extension point for the OpenAPI description."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _described(self)
        return self.openapi_schema


def _described(app: FastAPI) -> dict[str, Any]:
    description: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    components: dict[str, Any] = description.setdefault("components", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas |= {**SCHEMAS, **EVENT_SCHEMAS}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            _describe(operation, CALLS[method, path], schemas)
    health = description["paths"]["/health"]["get"]["responses"]
    health["503"] = _answer("No deployment is ready.", "Health", {**HEALTH, "status": "no_deployment_ready"})
    ready = description["paths"]["/health/ready"]["get"]["responses"]
    ready["503"] = _answer("The server stops, or no deployment is ready.", "Probe", {"status": "draining"})
    return description


def _describe(operation: dict[str, Any], call: Call, schemas: dict[str, Any]) -> None:
    ok = _answer("The answer.", call.schema, call.example)
    if call.events is not None:
        # OpenAPI 3.1 has no words for the events of a stream; FastAPI describes its own like this, as 3.2 does.
        ok["content"]["text/event-stream"] = {"itemSchema": event(call.events.schema), "example": call.events.example}
    if call.text is not None:
        ok["content"]["text/plain"] = {"schema": {"type": "string"}, "example": call.text}
    if call.xml is not None:
        ok["content"]["application/xml"] = {"schema": {"type": "string"}, "example": call.xml}
    statuses = sorted({*call.errors, *CONNECTION_ERRORS})
    if 401 in statuses:
        operation["security"] = [{scheme: []} for scheme in SECURITY_SCHEMES]
    errors = dict(_anthropic_error(status) if call.anthropic else _error(status) for status in statuses)
    operation["responses"] = {str(call.status): ok, **errors}
    if (body := operation.get("requestBody")) is not None:
        (content,) = body["content"].values()
        content["example"] = call.asked
        content["schema"] = _hoisted(content["schema"], schemas)


def _answer(description: str, schema: str | None, example: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": ref(schema), "example": example}} if schema else {}
    return {"description": description, "content": content}


def _error(status: int) -> tuple[str, dict[str, Any]]:
    description, kind, code = ERRORS[status]
    example = {"error": {"message": description, "type": kind, "param": None, "code": code}}
    return str(status), _answer(description, "Error", example)


def _anthropic_error(status: int) -> tuple[str, dict[str, Any]]:
    description, _, _ = ERRORS[status]
    example = anthropic_error_object(SwitchboardError(description), status)
    return str(anthropic_status(status)), _answer(description, "AnthropicError", example)


def _hoisted(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """`schema` with its definitions moved to the document's, where references are looked up."""
    for name, definition in schema.pop("$defs", {}).items():
        schemas[name] = _with_references(definition)
    moved: dict[str, Any] = _with_references(schema)
    return moved


def _with_references(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_references(each) for each in value]
    if isinstance(value, dict):
        return {
            key: each.replace("#/$defs/", "#/components/schemas/")
            if key == "$ref" and isinstance(each, str)
            else _with_references(each)
            for key, each in value.items()
        }
    return value
