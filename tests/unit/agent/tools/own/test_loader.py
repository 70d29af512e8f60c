"""Python tools: modules beside agent.yaml are loaded anew, disturb nothing else, and have their faults named."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from langchain_core.tools import BaseTool

from agent.tools.own.loader import ToolLoader
from agent.tools.tool_set import tool_set
from config.errors import ConfigError, Problem
from config.profile.agent_file import AgentProfile, load_agent

TOOL = 'def look(order_id: int) -> str:\n    """Look up an order."""\n    return "one"\n'


class Folder:
    """A folder with agent.yaml and Python files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loader = ToolLoader(path / "agent.yaml")

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(dedent(text))

    def load(self, *tools: str) -> AgentProfile:
        self.write("agent.yaml", f"system_prompt: x\ntools: [{', '.join(map(repr, tools))}]\n")
        return self.loader.load(load_agent(self.path / "agent.yaml", {}))

    def tool(self, name: str) -> BaseTool:
        tool = self.load(name).loaded_tools[name.partition(":")[2]]
        assert isinstance(tool, BaseTool)
        return tool

    def problem(self, name: str) -> Problem:
        with pytest.raises(ConfigError) as raised:
            self.load(name)
        (problem,) = raised.value.problems
        assert (problem.file, problem.line, problem.key) == (self.path / "agent.yaml", 2, "tools[0]")
        return problem


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Folder]:
    before, finders = set(sys.modules), list(sys.meta_path)
    folder = Folder(tmp_path)
    yield folder
    await folder.loader.aclose()
    assert sys.meta_path == finders
    assert not [name for name in set(sys.modules) - before if str(tmp_path) in str(sys.modules[name])]


async def test_a_module_is_loaded_anew_and_old_tools_stay_usable(folder: Folder) -> None:
    folder.write("shop_tools.py", "from shop_prices import PRICE\n" + TOOL.replace('"one"', "PRICE"))
    folder.write("shop_prices.py", "PRICE = 'one'\n")
    first = folder.tool("shop_tools:look")
    old = sys.modules["shop_tools"]
    folder.write("shop_prices.py", "PRICE = 'two'\n")  # as long as before, and within the same second
    second = folder.tool("shop_tools:look")
    assert [await each.ainvoke({"order_id": 1}) for each in (first, second)] == ["one", "two"]
    assert sys.modules["shop_tools"] is not old
    assert folder.loader.files == {folder.path / "shop_tools.py", folder.path / "shop_prices.py"}
    assert not list(folder.path.glob("__pycache__")), "compiled files are left behind"


def test_a_failed_load_leaves_the_earlier_modules(folder: Folder) -> None:
    folder.write("shop_tools.py", TOOL)
    folder.load("shop_tools:look")
    old = sys.modules["shop_tools"]
    folder.write("shop_tools.py", "import shop_extra\n1 / 0\n")
    folder.write("shop_extra.py", "")
    folder.problem("shop_tools:look")
    assert sys.modules["shop_tools"] is old and "shop_extra" not in sys.modules
    assert folder.loader.files == {folder.path / "shop_tools.py", folder.path / "shop_extra.py"}


async def test_packages_are_loaded_anew_too(folder: Folder) -> None:
    folder.write("shop_pkg/orders.py", "from . import names\n" + TOOL.replace('"one"', "names.NAME"))
    folder.write("shop_pkg/names.py", "NAME = 'one'\n")
    assert await folder.tool("shop_pkg.orders:look").ainvoke({"order_id": 1}) == "one"
    folder.write("shop_pkg/names.py", "NAME = 'two'\n")
    assert await folder.tool("shop_pkg.orders:look").ainvoke({"order_id": 1}) == "two"


@pytest.mark.parametrize("name", ["json", "agent", "sys", "antigravity"])
async def test_a_file_never_replaces_an_installed_module(folder: Folder, name: str) -> None:
    before = sys.modules.get(name)
    folder.write(f"{name}.py", TOOL)
    assert await folder.tool(f"{name}:look").ainvoke({"order_id": 1}) == "one"
    assert sys.modules.get(name) is before


def test_an_installed_module_is_found_after_the_folder(folder: Folder) -> None:
    problem = folder.problem("textwrap:dedentt")
    assert problem.message == "textwrap.py has no 'dedentt'; did you mean 'dedent'?"


async def test_what_the_model_sees_of_a_function(folder: Folder) -> None:
    folder.write(
        "shop_tools.py",
        '''
        from __future__ import annotations
        from typing import Literal
        from langgraph.prebuilt import ToolRuntime

        async def look(order_id: int, size: Literal["s", "l"] = "s", *, runtime: ToolRuntime) -> str:
            """Look up an order.

            Args:
                order_id: The number on the invoice.
            """
            return ""
        ''',
    )
    profile = folder.load("shop_tools:look")
    (offered,) = tool_set(profile, can_review=True).offered
    assert offered["function"] == {
        "name": "look",
        "description": "Look up an order.",
        "parameters": {
            "type": "object",
            "properties": {
                "order_id": {"type": "integer", "description": "The number on the invoice."},
                "size": {"type": "string", "enum": ["s", "l"], "default": "s"},
            },
            "required": ["order_id"],
        },
    }


async def test_a_synchronous_tool_that_exits_ends_its_call_alone(folder: Folder) -> None:
    folder.write("shop_tools.py", "import sys\n" + TOOL.replace('return "one"', "sys.exit(1)"))
    with pytest.raises(RuntimeError, match="SystemExit"):
        await folder.tool("shop_tools:look").ainvoke({"order_id": 1})


FAULTS = {
    "def look(:": "shop_tools cannot be imported: shop_tools.py, line 1: SyntaxError: invalid syntax",
    "import nowhere": "shop_tools.py, line 1: ModuleNotFoundError: No module named 'nowhere'",
    "\nlook = lok": "shop_tools cannot be imported: shop_tools.py, line 2: NameError: name 'lok' is not defined",
    "raise ValueError('s3cret')": "shop_tools cannot be imported: shop_tools.py, line 1: ValueError",
    "exit(1)": "shop_tools cannot be imported: shop_tools.py, line 1: SystemExit",
    "lock = 1": "shop_tools.py has no 'look'; did you mean 'lock'?",
    "look = 1": "shop_tools.py: look is no tool: it is of type int, not a function or LangChain tool",
    "class look: ...": "shop_tools.py: look is a class; give the name of an instance or of a function",
    "\ndef look(a): 'Look.'": "shop_tools.py, line 2: the parameter a of look has no type",
    "def look(*a: int): 'Look.'": "shop_tools.py, line 1: the parameter *a: int of look cannot be passed by name",
    "def look(a: int): ...": "shop_tools.py, line 1: look has no docstring, which tells the model when to call it",
    "def look(a: 'Nope'): 'Look.'": "shop_tools.py, line 1: look cannot be made a tool: name 'Nope' is not defined",
    "class A: ...\ndef look(a: A): 'Look.'": "shop_tools.py, line 2: the arguments of look cannot be described as JSON",
    "def look(a: int):\n 'Look.'\n yield": "shop_tools.py, line 1: look yields; a tool returns its result",
    "from langchain_core.tools import tool\n@tool('a b')\ndef look(a: int): 'Look.'": "the name 'a b' of",
    "from langchain_core.tools import tool\n@tool('transfer_call')\ndef look(a: int): 'Look.'": "or of a transfer",
}


@pytest.mark.parametrize("text", FAULTS)
def test_each_fault_is_named_with_its_place(folder: Folder, text: str) -> None:
    folder.write("shop_tools.py", text)
    problem = folder.problem("shop_tools:look")
    assert FAULTS[text] in str(problem) and "s3cret" not in str(problem)
    assert folder.path / "shop_tools.py" in folder.loader.files


def test_a_missing_file_is_named_and_watched(folder: Folder) -> None:
    folder.write("shop_tool.py", TOOL)
    assert "there is no module shop_tools" in folder.problem("shop_tools:look").message
    assert "did you mean 'shop_tool'?" in folder.problem("shop_tools:look").message
    assert folder.loader.files == {folder.path / "shop_tools.py"}


def test_a_langchain_tool_keeps_its_name_and_is_reviewed_by_both(folder: Folder) -> None:
    folder.write("shop_tools.py", "from langchain_core.tools import tool\n@tool('find-order')\n" + TOOL)
    for pattern in ("look", "find-order"):
        profile = replace(folder.load("shop_tools:look"), review=(pattern,))
        assert tool_set(profile, can_review=True).reviewed == {"find-order"}
        assert tool_set(profile).tools == ()
