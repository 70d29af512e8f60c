"""Python packages that LiteLLM needs for some providers, and that it imports only when it sends a request."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final

# Provider -> the module that LiteLLM imports, and the package that contains it. A test compares them with LiteLLM.
_PACKAGES: Final[Mapping[str, tuple[str, str]]] = {
    "bedrock": ("boto3", "boto3"),
    "gdc": ("google.auth", "google-auth"),
    "sagemaker": ("boto3", "boto3"),
    "sagemaker_chat": ("boto3", "boto3"),
    "vertex_ai": ("google.auth", "google-auth"),
    "vertex_ai_beta": ("google.auth", "google-auth"),
    "vllm": ("vllm", "vllm"),
}
_AZURE_SIGN_IN: Final = ("azure.identity", "azure-identity")


def missing_package(provider: str | None, params: Mapping[str, Any]) -> str | None:
    """`pip install NAME` for a package that the provider needs and that is not installed; None if there is none."""
    needed = _PACKAGES.get(provider or "")
    if provider == "azure" and (params.get("client_secret") or params.get("azure_password")):
        needed = _AZURE_SIGN_IN
    return f"pip install {needed[1]}" if needed and not _is_installed(needed[0]) else None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is missing
        return False
