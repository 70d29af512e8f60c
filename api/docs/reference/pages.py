"""The reference pages of the documentation, made of the code."""

from __future__ import annotations

from collections.abc import Mapping

from api.docs.reference import environment, error_codes, event_types, file_keys, metrics
from api.rehearsal.script_file import ScriptFile
from config.models.schema import ModelsFile
from config.profile.agent_file import AgentFile

SEE_MODELS = {
    "model": "../configuration.md#names",
    "api_key": "environment.md#keys-of-providers",
    "on_cut": "../failover.md#a-cut-after-the-first-word",
    "fallbacks": "../failover.md#order",
    "num_retries": "../failover.md#the-table",
    "allowed_fails": "../failover.md#circuit-breakers",
    "hedge_after": "../failover.md#hedging",
    "turn_deadline": "../failover.md#time",
    "supports_assistant_prefill": "../failover.md#a-cut-after-the-first-word",
    "hand_offs": "../platforms.md#clients-that-do-not-know-hand-offs",
    "input_cost_per_token": "../configuration.md#prices",
    "memory": "../sessions.md#long-term-memory",
    "credential_list": "../configuration.md#references",
}
SEE_AGENT = {
    "tools": "../tools.md",
    "transfer_destinations": "../configuration.md#transfers",
    "function_call_object": "../platforms.md#transfers-and-hang-ups-on-the-wire",
    "mcp_servers": "../sessions.md#mcp-servers",
    "review": "../sessions.md#reviews",
    "trim": "../sessions.md#what-the-model-sees",
    "memory": "../sessions.md#long-term-memory",
    "chat": "../chat.md#events",
    "filler": "../tools.md#while-a-tool-runs",
    "phone": "../phone.md",
}
SEE_SETTINGS = {
    "drain_time": "../configuration.md#stopping-the-server",
    "metrics_public": "../statistics.md#prometheus",
    "task_queue": "../tasks.md#where-tasks-run",
    "console_edit": "../console.md#models",
    "redis_url": "../scaling.md#redis",
    "database_pool_size": "../scaling.md#postgresql",
}


def pages() -> Mapping[str, str]:
    """The text of each page, by file name."""
    return {
        "models-yaml.md": _models_yaml(),
        "agent-yaml.md": _agent_yaml(),
        "rehearsal-script.md": _rehearsal_script(),
        "environment.md": _environment(),
        "errors.md": _errors(),
        "metrics.md": _metrics(),
        "events.md": _events(),
    }


def _models_yaml() -> str:
    return _page(
        "models.yaml",
        "The keys of models.yaml. [Configuration](../configuration.md#modelsyaml) explains names, references and "
        "prices; [migrating from LiteLLM](../migrating-from-litellm.md) says what becomes of the keys of a proxy. "
        "`os.environ/NAME` may stand for any value. `switchboard check --schema` prints the JSON schema.",
        file_keys.sections(ModelsFile, SEE_MODELS),
    )


def _agent_yaml() -> str:
    return _page(
        "agent.yaml",
        "The keys of agent.yaml. [Configuration](../configuration.md#agentyaml) explains how to begin.",
        file_keys.sections(AgentFile, SEE_AGENT),
    )


def _rehearsal_script() -> str:
    return _page(
        "Rehearsal scripts",
        "The keys of a script of `switchboard rehearse`. [Rehearsing](../rehearsing.md#scripts) explains them.",
        file_keys.sections(ScriptFile, {}),
    )


def _environment() -> str:
    return _page(
        "Environment",
        "A variable in the environment wins over its line in `.env`, which is read from the current folder. An "
        "empty variable counts as unset. An unknown `SWITCHBOARD_` variable causes a warning.",
        f"## Settings\n\nThey are read once, at the start.\n\n{environment.settings(SEE_SETTINGS)}",
        "## Keys of providers\n\nIf an entry of models.yaml has no `api_key` or `api_base`, these variables are "
        f"used; of several, the first that is set.\n\n{environment.providers()}\nOther providers that LiteLLM "
        "knows work with LiteLLM's own variables. A missing key is then noticed at the first request.\n",
        f"## Others\n\n{environment.others()}",
    )


def _errors() -> str:
    return _page(
        "Errors",
        'Every error is `{"error": {"message", "type", "param", "code"}}`, as OpenAI\'s clients read it. `code` is '
        "stable and meant for programs, `message` for people; `param` names the field of the request, if there is "
        "one. In a stream that has begun, the same object comes as an event. An error without `Retry-After` has "
        "`x-should-retry: false`: the router has made all retries that may help. "
        "[Troubleshooting](../troubleshooting.md) says what to do.",
        f"## What callers get\n\n{error_codes.of_callers()}",
        "## Failed attempts\n\nWhat a single attempt at a provider ended with. Callers never see these classes; "
        "they are in the log, in `failures` of [`/stats`](../statistics.md) and in the label `class` of "
        "[`switchboard_attempts_total`](metrics.md). [What a failure leads to](../failover.md#the-table).\n\n"
        f"{error_codes.of_attempts()}",
    )


def _metrics() -> str:
    return _page(
        "Metrics",
        "What `GET /metrics` exposes for Prometheus. [Statistics](../statistics.md#prometheus) says how to scrape "
        "it. Times are in seconds; a histogram lists its bounds.",
        metrics.metrics(),
    )


def _events() -> str:
    return _page(
        "Events",
        "The server-sent events of every stream. Each `data:` line is one JSON object with a `type`; lines that "
        "begin with `:` are keep-alive comments. `/v1/chat/completions` sends OpenAI's chunks instead: see "
        "[platforms](../platforms.md#what-every-platform-gets). `/v1/responses` sends OpenAI's response events: see "
        "[the Responses API](../responses.md#the-stream).",
        event_types.streams(),
    )


def _page(title: str, intro: str, *parts: str) -> str:
    note = "<!-- `make docs` writes this page from the code. Change the code, not the page. -->"
    return "\n".join((note, f"\n# {title}\n", f"{intro}\n", *parts))
