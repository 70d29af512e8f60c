"""Names of span attributes: those of OpenTelemetry's conventions for generative AI, and our own.

https://github.com/open-telemetry/semantic-conventions-genai
"""

from __future__ import annotations

from typing import Final

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
AGENT: Final = "gen_ai.agent.name"
CONVERSATION: Final = "gen_ai.conversation.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_TOKEN: Final = "gen_ai.response.time_to_first_chunk"  # noqa: S105  (no password)
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL: Final = "gen_ai.tool.call.id"
TOOL_TYPE: Final = "gen_ai.tool.type"
ERROR: Final = "error.type"
STATUS: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

REQUEST_ID: Final = "switchboard.request.id"
TURN_ID: Final = "switchboard.turn.id"
CALLER: Final = "switchboard.caller"
OUTCOME: Final = "switchboard.outcome"
MODEL: Final = "switchboard.model"
DEPLOYMENT: Final = "switchboard.deployment"
COST: Final = "switchboard.cost_usd"
ATTEMPTS: Final = "switchboard.attempts"
HEDGED: Final = "switchboard.hedged"
CONTINUED: Final = "switchboard.continued"
ATTEMPT: Final = "switchboard.attempt.number"
STEP: Final = "switchboard.attempt.step"
WHY: Final = "switchboard.attempt.why"
TASK_ID: Final = "switchboard.task.id"
TASK_ATTEMPT: Final = "switchboard.task.attempt"

PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "cohere_chat": "cohere",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "sagemaker": "aws.sagemaker",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""LiteLLM's names of providers -> those of the conventions, where they differ."""
