"""config <- router <- agent <- api: each package imports only what stands to its left."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("config", "router", "agent", "api")
WEB = {"fastapi", "starlette", "uvicorn"}
MODULES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, also inside functions and for types alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_stands_to_its_left(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    to_the_right = set(LAYERS[LAYERS.index(layer) + 1 :])
    assert not imported(path) & to_the_right


@pytest.mark.parametrize("layer", LAYERS[:3])
def test_only_the_edge_knows_the_web_framework(layer: str) -> None:
    offenders = [path for path in (ROOT / layer).rglob("*.py") if imported(path) & WEB]
    assert not offenders


def test_the_layers_are_where_this_test_looks() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(LAYERS)
