"""Providers whose Python package is not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from config.models.models_file import check_models
from config.models.provider_packages import missing_package
from router.providers.litellm_import import litellm

MISSING = {"google": "google-auth", "azure": "azure-identity", "vllm": "vllm", "boto3": "boto3"}
SIGN_IN = {"tenant_id": "t", "client_id": "c", "client_secret": "s"}


@pytest.fixture(autouse=True)
def nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in MISSING:
        monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize(
    ("model", "params", "package"),
    [
        ("vertex_ai/gemini-2.5-flash", {"vertex_project": "p", "vertex_location": "us-central1"}, "google-auth"),
        ("vertex_ai/claude-sonnet-4-5", {"vertex_project": "p", "vertex_location": "us-east5"}, "google-auth"),
        ("gdc/gemini", {"api_key": "k"}, "google-auth"),
        ("azure/x", SIGN_IN, "azure-identity"),
        ("azure/x", {"azure_username": "u", "azure_password": "p", "client_id": "c"}, "azure-identity"),
        ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", {"aws_region_name": "us-east-1"}, "boto3"),
        ("vllm/x", {}, "vllm"),
        ("azure/x", {"api_key": "k"}, None),
        ("gemini/gemini-2.5-flash", {"api_key": "k"}, None),
    ],
)
async def test_the_package_is_missing_where_litellm_cannot_import_it(
    model: str, params: dict[str, Any], package: str | None
) -> None:
    assert missing_package(model.partition("/")[0], params) == (f"pip install {package}" if package else None)
    with pytest.raises(Exception) as raised:
        await litellm.acompletion(
            model=model,
            messages=[{"role": "user", "content": "Hi"}],
            api_base="http://127.0.0.1:9",
            api_version="2024-10-21",
            **params,
        )
    says = str(raised.value)
    refused = any(each in says for each in ("No module named", "import of", "Google Cloud SDK", "optional dependency"))
    assert refused == (package is not None), says


def test_a_package_that_is_installed_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "google/auth").mkdir(parents=True)
    (tmp_path / "google/auth/__init__.py").touch()
    monkeypatch.delitem(sys.modules, "google")
    monkeypatch.syspath_prepend(tmp_path)
    assert missing_package("vertex_ai", {}) is None


def test_a_deployment_without_its_package_is_left_out_and_the_rest_serves(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        "model_list:\n  - {model_name: a, litellm_params: {model: vertex_ai/x}}\n"
        "  - {model_name: b, litellm_params: {model: fake/echo}}\n"
    )
    registry, problems = check_models(file, {})
    assert problems == () and registry.names() == ("b",)
    assert registry.deployments[0].missing == ("pip install google-auth",)
