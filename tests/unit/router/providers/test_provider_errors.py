import inspect
from datetime import UTC, datetime
from typing import Any

import httpx
import litellm
import openai
import orjson
import pytest

from config.errors import (
    AnswerCut,
    BadAnswer,
    ConnectionFailed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    CredentialsRefused,
    InvalidToolCall,
    ProviderOverloaded,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    SwitchboardError,
)
from router.providers.error_body import retry_after
from router.providers.provider_errors import LITELLM_ERRORS, from_event, from_litellm, from_response, from_transport

SECRET = "sk-abcdefghijklmnopqrstuvwxyz012345"
NO_HEADERS = httpx.Headers()


def litellm_exceptions() -> list[type[Exception]]:
    found = (each for _, each in inspect.getmembers(litellm.exceptions, inspect.isclass))
    return [each for each in found if issubclass(each, Exception) and each.__module__ == "litellm.exceptions"]


def body(message: str = "no", **fields: Any) -> bytes:
    return orjson.dumps({"error": {"message": message} | fields})


def test_every_litellm_exception_is_mapped() -> None:
    assert {each.__name__ for each in litellm_exceptions()} == {each.__name__ for each in LITELLM_ERRORS}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, RequestRejected),
        (422, RequestRejected),
        (401, CredentialsRefused),
        (402, CredentialsRefused),
        (403, CredentialsRefused),
        (404, CredentialsRefused),
        (408, ProviderOverloaded),
        (409, ProviderOverloaded),
        (429, RateLimited),
        (500, ProviderOverloaded),
        (503, ProviderOverloaded),
        (529, ProviderOverloaded),
        (302, BadAnswer),
        (418, BadAnswer),
    ],
)
def test_a_status_is_mapped_as_in_the_failover_table(status: int, expected: type[SwitchboardError]) -> None:
    error = from_response(status, NO_HEADERS, body("secret words"))
    assert type(error) is expected
    assert "secret words" not in str(error)
    assert "secret words" in getattr(error, "provider_text", "")


@pytest.mark.parametrize(
    "said",
    [
        body("too long", code="context_length_exceeded"),
        body("This model's maximum context length is 8192 tokens."),
        b'{"object":"error","message":"This model\'s maximum context length is 4096 tokens","code":400}',
        b'{"error":"prompt too long; exceeded max context length by 4 tokens"}',
        b'{"error":"the input length exceeds the context length"}',
        b'{"object":"error","message":"The decoder prompt (length 5000) is longer than the maximum model length of '
        b'4096. Make sure that `max_model_len` is no smaller than the number of text tokens.","code":400}',  # vLLM
        body(
            "You passed 5000 input tokens and requested 100 output tokens. However, the model's context length is only "
            "4096 tokens, resulting in a maximum input length of 3996 tokens."
        ),  # vLLM
        b'{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context '
        b'size or enable context shift","type":"exceed_context_size_error"}}',  # llama.cpp
        body("Your input exceeds the context window of this model. Please adjust your input and try again."),  # Azure
        body("Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens."),
        body("the messages are longer than the model's context window"),
        body("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]"),  # DashScope
        body("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"),
        b'{"code":"Client specified an invalid argument","error":"This model\'s maximum prompt length is 131072 but '
        b'the request contains 140000 tokens."}',  # xAI
        body("Invalid request: Your request exceeded model token limit: 8192", type="invalid_request_error"),  # Kimi
        body("The prompt is too long: 140000, model maximum context length: 131071"),  # Fireworks
        body(str(ContextWindowExceeded())),
    ],
)
def test_a_prompt_that_is_too_long_is_recognised(said: bytes) -> None:
    assert isinstance(from_response(400, NO_HEADERS, said), ContextWindowExceeded)


@pytest.mark.parametrize("said", ["Context size has been exceeded.", "the input length exceeds the context length"])
def test_a_prompt_that_is_too_long_may_be_a_servers_500(said: str) -> None:
    assert isinstance(from_response(500, NO_HEADERS, body(said)), ContextWindowExceeded)


def test_our_own_message_is_one_that_litellms_client_knows() -> None:
    checks = litellm.litellm_core_utils.exception_mapping_utils.ExceptionCheckers
    assert checks.is_error_str_context_window_exceeded(str(ContextWindowExceeded()))


@pytest.mark.parametrize(
    "said",
    [
        body("Access denied, please make sure your account is in good standing.", code="Arrearage"),
        b'{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***lo."}',
        body("Model Not Exist", type="invalid_request_error", code="invalid_request_error"),
        body("The model `mixtral` has been decommissioned and is no longer supported.", code="model_decommissioned"),
        b'{"object":"error","message":"Invalid model: mistral-tiny-9","type":"invalid_model","code":"1500"}',
        body("gpt-99 is not a valid model ID", code=400),
        b'{"message":"The provided model identifier is invalid."}',
        b'{"object":"error","message":"\\"auto\\" tool choice requires --enable-auto-tool-choice and '
        b'--tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}',
        body("Authentication Error, Invalid proxy server token passed.", type="auth_error", param="None", code="400"),
        body("No connected db.", type="no_db_connection", code="400"),
        b'{"error":"/chat/completions: Invalid model name passed in model=x. Call `/v1/models` to view models."}',
        b'{"detail":{"error":"/chat/completions: Invalid model name passed in model=x."}}',
        b'[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID"}}]',
    ],
)
def test_a_400_that_blames_key_account_model_or_server_is_refused_credentials(said: bytes) -> None:
    assert type(from_response(400, NO_HEADERS, said)) is CredentialsRefused
    through_litellm = litellm.exceptions.BadRequestError(
        f"litellm.BadRequestError: SomeException - {said.decode()}", "m", "some"
    )
    assert type(from_litellm(through_litellm)) is CredentialsRefused


def test_a_tool_call_that_groq_refuses_is_the_models_fault() -> None:
    said = body("Failed to call a function.", type="invalid_request_error", code="tool_use_failed")
    assert type(from_response(400, NO_HEADERS, said)) is InvalidToolCall


@pytest.mark.parametrize(
    "said",
    [
        body("Invalid value: 'Incorrect API key provided'. Supported values are: 'text'."),
        b'{"detail":[{"loc":["body"],"msg":"Field required","input":{"content":"Incorrect API key provided"}}]}',
        b"{\"message\":\"[{'msg': 'Field required', 'input': 'model not exist'}]\",\"code\":400}",
        body("Invalid model output: no JSON"),
    ],
)
def test_what_a_provider_quotes_of_the_caller_does_not_blame_the_deployment(said: bytes) -> None:
    assert type(from_response(400, NO_HEADERS, said)) is RequestRejected


def test_a_misspelt_provider_is_the_operators_fault() -> None:
    with pytest.raises(litellm.exceptions.BadRequestError) as caught:
        litellm.get_llm_provider("openia/gpt-4.1-mini")
    assert type(from_litellm(caught.value)) is CredentialsRefused


def test_a_package_that_is_missing_is_the_operators_fault() -> None:
    error = litellm.exceptions.APIConnectionError(**MADE)
    error.__context__ = ImportError("Google Cloud SDK not found. Install it with: pip install 'litellm[google]'")
    assert type(from_litellm(error, prepared=False)) is CredentialsRefused


def test_a_request_that_cannot_be_prepared_is_one_providers_opinion() -> None:
    error = litellm.exceptions.APIConnectionError(**MADE)
    error.__context__ = ValueError("Invalid image received - file:///etc/passwd")
    assert type(from_litellm(error, prepared=False)) is RequestRejected


@pytest.mark.parametrize(
    ("said", "category"),
    [
        (body("filtered", code="content_filter"), "content_filter"),
        (body("no", code="content_policy_violation"), "content_policy_violation"),
        (body("Input data may contain inappropriate content", code="data_inspection_failed"), "data_inspection_failed"),
        (body("Content Exists Risk", type="invalid_request_error"), "invalid_request_error"),
        (
            body(
                "filtered",
                code="content_filter",
                innererror={"content_filter_result": {"hate": {"filtered": False}, "violence": {"filtered": True}}},
            ),
            "violence",
        ),
        (body("filtered", code="content_filter: how dare you, <b>"), None),
    ],
)
def test_refused_content_is_recognised_with_its_category(said: bytes, category: str | None) -> None:
    error = from_response(400, NO_HEADERS, said)
    assert isinstance(error, ContentPolicyViolation)
    assert error.category == category


@pytest.mark.parametrize(
    "said",
    [
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to purchase credits.",
        "You have reached your specified API usage limits. You will regain access on 2026-09-01 at 00:00 UTC.",
    ],
)
def test_an_account_without_credit_is_refused_credentials(said: str) -> None:
    error = from_response(400, NO_HEADERS, body(said, type="invalid_request_error"))
    assert type(error) is CredentialsRefused


def test_the_prompt_quoted_in_an_error_does_not_change_its_kind() -> None:
    said = orjson.dumps({"error": {"message": "bad", "input": "what is a content_filter?"}})
    assert type(from_response(422, NO_HEADERS, said)) is RequestRejected


def test_the_providers_text_is_redacted_and_truncated() -> None:
    error = from_response(401, NO_HEADERS, body(f"Incorrect API key provided: {SECRET}. " + "x" * 9000))
    assert isinstance(error, CredentialsRefused)
    assert SECRET not in error.provider_text
    assert len(error.provider_text) <= 2000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Fri, 02 Jan 2026 00:00:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e300"}, None),
        ({"retry-after-ms": "1e300"}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, None),
        ({"retry-after": "Fri, 31 Dec 99999999999999999999 23:59:59 GMT"}, None),
        ({"retry-after": "Fri, 02 Jan 2026 00:00:30 +99999999999999999"}, None),
        ({}, None),
    ],
)
def test_the_time_to_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=datetime(2026, 1, 2, tzinfo=UTC)) == seconds


def test_a_rate_limit_keeps_its_time() -> None:
    error = from_response(429, httpx.Headers({"Retry-After": "7"}), b"")
    assert isinstance(error, RateLimited)
    assert error.retry_after == 7.0


def test_a_request_too_large_for_the_limit_is_not_counted() -> None:
    error = from_response(413, NO_HEADERS, body("Request too large", type="tokens", code="rate_limit_exceeded"))
    assert isinstance(error, RateLimited)
    assert not error.counts


@pytest.mark.parametrize(("headers", "seconds"), [({}, 34.07), ({"retry-after": "7"}, 7.0)])
def test_googles_time_to_wait_stands_in_the_body(headers: dict[str, str], seconds: float) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}]
    said = orjson.dumps({"error": {"code": 429, "message": "no", "details": details}}, option=orjson.OPT_INDENT_2)
    error = from_response(429, httpx.Headers(headers), said)
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


def test_a_time_in_the_body_that_no_provider_can_mean_is_none() -> None:
    said = b'{"error":{"code":429,"details":[{"retryDelay":"%bs"}]}}' % (b"9" * 400)
    error = from_response(429, NO_HEADERS, said)
    assert isinstance(error, RateLimited)
    assert error.retry_after is None


@pytest.mark.parametrize("form", ['{"message":%s}', '{"code":%s}', '{"detail":%s}', "%s"])
@pytest.mark.parametrize("depth", [300, 1000])
def test_an_error_that_is_nested_too_deep_is_an_error_all_the_same(form: str, depth: int) -> None:
    nested = form % ("[" * depth + "]" * depth)
    assert isinstance(from_response(500, NO_HEADERS, nested.encode()), ProviderOverloaded)
    assert isinstance(from_event({"error": orjson.loads(nested)}), BadAnswer)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"error": {"message": "boom"}}, BadAnswer),
        ({"error": "boom"}, BadAnswer),
        ({"error": {"message": "overloaded", "code": 503}}, ProviderOverloaded),
        ({"error": {"message": "overloaded", "code": "503"}}, ProviderOverloaded),
        ({"error": {"message": "slow down", "type": "rate_limit_error"}}, RateLimited),
        ({"error": {"message": "no", "code": "content_filter"}}, ContentPolicyViolation),
        ({"error": {"message": "no", "code": "context_length_exceeded"}}, ContextWindowExceeded),
    ],
)
def test_an_error_inside_an_answer_is_mapped(event: dict[str, Any], expected: type[SwitchboardError]) -> None:
    assert type(from_event(event)) is expected


@pytest.mark.parametrize(
    ("failure", "response_started", "expected"),
    [
        (httpx.ConnectError("refused"), False, ConnectionFailed),
        (httpx.ConnectTimeout("hung up"), False, ConnectionFailed),
        (ConnectionResetError(), False, ConnectionFailed),
        (TimeoutError(), False, ProviderTimeout),
        (httpx.ReadTimeout("silent"), False, ProviderTimeout),
        (httpx.ReadError("reset"), True, AnswerCut),
        (httpx.DecodingError("no gzip"), True, BadAnswer),
    ],
)
def test_a_failed_connection_is_mapped(
    failure: Exception, response_started: bool, expected: type[SwitchboardError]
) -> None:
    assert type(from_transport(failure, response_started=response_started)) is expected


MADE = {"message": "no", "model": "m", "llm_provider": "openai"}


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        (litellm.exceptions.AuthenticationError(**MADE), CredentialsRefused),
        (litellm.exceptions.NotFoundError(**MADE), CredentialsRefused),
        (litellm.exceptions.BadRequestError(**MADE), RequestRejected),
        (litellm.exceptions.ContextWindowExceededError(**MADE), ContextWindowExceeded),
        (litellm.exceptions.ContentPolicyViolationError(**MADE), ContentPolicyViolation),
        (litellm.exceptions.RateLimitError(**MADE), RateLimited),
        (litellm.exceptions.InternalServerError(**MADE), ProviderOverloaded),
        (litellm.exceptions.ServiceUnavailableError(**MADE), ProviderOverloaded),
        (litellm.exceptions.APIError(status_code=409, **MADE), ProviderOverloaded),
        (litellm.exceptions.Timeout(**MADE), ProviderTimeout),
        (litellm.exceptions.APIConnectionError(**MADE), ConnectionFailed),
        (litellm.exceptions.JSONSchemaValidationError("m", "openai", "raw", "schema"), BadAnswer),
        (RuntimeError("what is this"), BadAnswer),
    ],
)
def test_an_exception_of_litellm_is_mapped(theirs: Exception, expected: type[SwitchboardError]) -> None:
    assert type(from_litellm(theirs)) is expected


def test_the_original_exception_is_mapped_and_not_its_wrapper() -> None:
    inner = litellm.exceptions.RateLimitError(**MADE)
    wrapped = litellm.exceptions.MidStreamFallbackError(original_exception=inner, **MADE)
    assert isinstance(from_litellm(wrapped), RateLimited)


def test_headers_are_found_in_what_the_exception_was_made_of() -> None:
    request = httpx.Request("POST", "http://provider")
    answer = httpx.Response(429, headers={"retry-after": "7"}, request=request)
    error = litellm.exceptions.RateLimitError(**MADE)
    error.__cause__ = httpx.HTTPStatusError("too many", request=request, response=answer)
    mapped = from_litellm(error)
    assert isinstance(mapped, RateLimited)
    assert mapped.retry_after == 7.0


def test_a_bad_request_inside_an_answer_is_a_bad_answer() -> None:
    theirs = litellm.exceptions.BadRequestError(**MADE)
    assert type(from_litellm(theirs, response_started=True)) is BadAnswer


def test_a_litellm_timeout_for_status_408_is_an_overload() -> None:
    answer = httpx.Response(408, request=httpx.Request("POST", "http://provider"))
    error = litellm.exceptions.Timeout(**MADE)
    error.__cause__ = openai.APIStatusError("slow", response=answer, body=None)
    assert type(from_litellm(error)) is ProviderOverloaded


def test_unsupported_parameters_are_named_to_the_caller() -> None:
    message = "groq does not support parameters: ['logit_bias', 'seed'], for model=m"
    error = from_litellm(litellm.exceptions.UnsupportedParamsError(message))
    assert isinstance(error, RequestRejected)
    assert "logit_bias, seed" in str(error)
    assert "drop_params" in str(error)
