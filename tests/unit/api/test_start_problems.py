"""A start that fails is told in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from config.errors import ConfigError
from config.settings import Settings


async def test_a_file_that_became_invalid_is_told_without_a_traceback(tmp_path: Path) -> None:
    models, told = tmp_path / "models.yaml", []
    models.write_text("model_list: [")
    app = create_app(Settings(_env_file=None, api_tokens=("t",), models_file=models, data_dir=tmp_path / "data"))

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        told.append(message)

    with pytest.raises(ConfigError):
        await app({"type": "lifespan", "state": {}}, receive, send)
    problem = f"{models}:1: invalid YAML: the file ends too early: a `]` or `}}` is missing"
    assert [(each["type"], each["message"].splitlines()[0]) for each in told] == [("lifespan.startup.failed", problem)]
