"""agent.yaml: valid files and the problems of invalid ones."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.profile.agent_file import AgentProfile, Destination, load_agent


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "agent.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_with_a_prompt_alone_takes_the_defaults(tmp_path: Path) -> None:
    file = write(tmp_path, "system_prompt: ' Hello. '\ntools:\n")
    assert load_agent(file) == AgentProfile("Hello.", source=file)


def test_every_key_can_be_set(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """\
system_prompt: 你好
system_prompt_mode: append
tools: [multiply, transferCall]
transfer_destinations:
  - "+8613800138000"
  - {number: "sip:desk@example.com", name: Desk, description: Anything}
function_call_object: false
max_steps: 3
""",
    )
    assert load_agent(file) == AgentProfile(
        system_prompt="你好",
        system_prompt_mode="append",
        tools=("multiply", "transferCall"),
        transfer_destinations=(
            Destination("+8613800138000"),
            Destination("sip:desk@example.com", "Desk", "Anything"),
        ),
        function_call_object=False,
        max_steps=3,
        source=file,
    )


def test_no_tools_and_no_destinations_are_allowed_together(tmp_path: Path) -> None:
    profile = load_agent(write(tmp_path, "{system_prompt: x, tools: [], transfer_destinations: []}"))
    assert (profile.tools, profile.transfer_destinations) == ((), ())


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("", None, None, "the file is empty"),
        ("tools: []\n", 1, "system_prompt", "this key is required"),
        ("system_prompt: ' '\n", 1, "system_prompt", "must not be empty"),
        ("system_prompt: x\nsystem_promt_mode: append\n", 2, "system_promt_mode", "did you mean 'system_prompt_mode'?"),
        ("system_prompt: x\nsystem_prompt_mode: follow\n", 2, "system_prompt_mode", "must be 'replace' or 'append'"),
        ("system_prompt: x\ntools:\n- transfercall\n", 3, "tools[0]", "did you mean 'transferCall'?"),
        (
            "system_prompt: x\ntools: [zzz]\n",
            2,
            "tools[0]",
            "the tools are transferCall, endCall, multiply, book_hotel",
        ),
        ("system_prompt: x\ntools: [endCall, endCall]\n", 2, "tools", "endCall is listed twice"),
        ("system_prompt: x\ntools: endCall\n", 2, "tools", "must be a list, not text"),
        ("system_prompt: x\nmax_steps: 0\n", 2, "max_steps", "must be greater than or equal to 1"),
        ("system_prompt: x\nmax_steps: yes\n", 2, "max_steps", "must be a number"),
        ("system_prompt: x\nreviews: []\n", 2, "reviews", "unknown key; did you mean 'review'?"),
        (
            "system_prompt: os.environ.X\nmcp_servers:\n  a:\n    url: http://a\n    headers: {x: os.environ.KEY}\n",
            5,
            "mcp_servers.a.headers.x",
            "os.environ/KEY",
        ),
        ("system_prompt: x\ntransfer_destinations: []\n", 2, "transfer_destinations", "must list at least one"),
        (
            "system_prompt: x\ntransfer_destinations: ['+1234', '+1234']\n",
            2,
            "transfer_destinations",
            "+1234 is listed",
        ),
        (
            "system_prompt: x\ntransfer_destinations:\n  - number: 1234567890\n",
            3,
            "transfer_destinations[0].number",
            "must be text, not a number; put it in quotes",
        ),
        (
            "system_prompt: x\ntransfer_destinations:\n  - name: x\n",
            3,
            "transfer_destinations[0].number",
            "this key is required",
        ),
    ],
)
def test_each_fault_is_named_with_its_place(
    tmp_path: Path, text: str, line: int | None, key: str | None, message: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_agent(file)
    (problem,) = raised.value.problems
    assert (problem.file, problem.line, problem.key) == (file, line, key)
    assert message in problem.message


@pytest.mark.parametrize("number", ["1234567890", "+0123", "+1 234 567", "+1234567890123456", "sip:a b", "+12\\n"])
def test_a_number_that_cannot_be_called_is_refused(tmp_path: Path, number: str) -> None:
    file = write(tmp_path, f'{{system_prompt: x, transfer_destinations: ["{number}"]}}')
    with pytest.raises(ConfigError, match="country code"):
        load_agent(file)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_agent(write(tmp_path, "tools: []\ntools: []\nmax_step: 3\n"))
    assert [problem.key for problem in raised.value.problems] == ["tools", "system_prompt", "max_step"]


def test_the_words_that_start_a_stream_of_chat(tmp_path: Path) -> None:
    assert load_agent(write(tmp_path, "system_prompt: Hello.")).chat.start_message == "开始生成响应..."
    words = load_agent(write(tmp_path, "system_prompt: Hello.\nchat: {start_message: One moment.}"))
    assert words.chat.start_message == "One moment."
    with pytest.raises(ConfigError, match="start_message"):
        load_agent(write(tmp_path, "system_prompt: Hello.\nchat: {start_message: ''}"))
