"""The rules of the house, held by tests.

config <- router <- agent <- api: each package imports only what stands to its left. No modules import each other in a
circle, and only one module uses private names of another library.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("config", "router", "agent", "api")
WEB = {"fastapi", "starlette", "uvicorn"}
MODULES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
LITELLM_INTERNALS = "router/lanes/openai_request.py"
LITELLM_IMPORT = "router/providers/litellm_import.py"
CHAT_MODEL = ("agent/chat_model.py", {"_agenerate", "_create_message_dicts", "_create_chat_result"})
"""LangChain's extension point for chat models, and the message conversion of langchain-litellm."""


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@pytest.fixture(scope="module", autouse=True)
def trees_are_forgotten() -> Iterator[None]:
    yield
    tree_of.cache_clear()


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, also inside functions and for types alone."""
    return {name.split(".")[0] for name in imports(path)}


def imports(path: Path) -> Iterator[str]:
    """Every dotted name that a module imports, also inside functions and for types alone."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_a_module_imports_only_what_stands_to_its_left() -> None:
    found = {place(path): imported(path) & to_the_right_of(path) for path in MODULES}
    assert not {each: layers for each, layers in found.items() if layers}


def to_the_right_of(path: Path) -> set[str]:
    layer = path.relative_to(ROOT).parts[0]
    return set(LAYERS[LAYERS.index(layer) + 1 :])


@pytest.mark.parametrize("layer", LAYERS[:3])
def test_only_the_edge_knows_the_web_framework(layer: str) -> None:
    offenders = [path for path in (ROOT / layer).rglob("*.py") if imported(path) & WEB]
    assert not offenders


def test_the_layers_are_where_this_test_looks() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(LAYERS)


def module_name(path: Path) -> str:
    return place(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The names along one circle of `graph`, or nothing."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for each in sorted(graph[name]):
            if found := visit(each, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {module_name(path) for path in MODULES}
    graph = {
        module_name(path): {each for each in imports(path) if each in names} - {module_name(path)} for path in MODULES
    }
    assert not circle(graph)


def own_private_names() -> set[str]:
    """The underscore names that our own code defines: functions, classes, attributes, assigned names."""
    names: set[str] = set()
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                    names.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self" | "cls")):
                    names.add(name)
    return {name for name in names if is_private(name)}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name != "_"


def private_uses(path: Path) -> set[str]:
    """The underscore names that a module imports, or reads or writes on something."""
    used: set[str] = set()
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.Attribute(attr=name):
                used.add(name)
            case ast.ImportFrom(module=module, names=aliases):
                used |= {alias.name for alias in aliases}
                used |= set((module or "").split("."))
            case ast.Call(func=ast.Name(id="getattr" | "setattr"), args=[_, ast.Constant(value=str(name)), *_]):
                used.add(name)
    return {name for name in used if is_private(name)}


def test_private_names_of_other_libraries_are_used_in_one_module_alone() -> None:
    ours = own_private_names()
    offenders = {place(path): found for path in MODULES if (found := private_uses(path) - ours)}
    offenders.pop(LITELLM_INTERNALS, None)
    module, allowed = CHAT_MODEL
    offenders[module] = offenders.get(module, set()) - allowed
    assert not {each: found for each, found in offenders.items() if found}


def overrides_of(path: Path) -> Iterator[str]:
    """Assignments to attributes of a library's modules and classes: `aiohttp.x = ...`, `Graph.y = ...`."""
    tree = tree_of(path)
    foreign = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if not str(getattr(node, "module", None) or alias.name).startswith(LAYERS)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            root: ast.expr = node
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in foreign:
                yield ast.unparse(node)


def test_nothing_of_another_library_is_overwritten() -> None:
    """But for LiteLLM's public switches, which are set where it is imported."""
    found = {place(path): sorted(overrides_of(path)) for path in MODULES if place(path) != LITELLM_IMPORT}
    assert not {each: names for each, names in found.items() if names}
