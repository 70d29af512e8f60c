"""A persona's turn over scripted model calls and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert

from agent.events import Event, HandOff, TextDelta, ToolFinished, ToolStarted, TurnFailed, TurnFinished, Usage
from agent.personas.persona import Exchange, PersonaFields
from agent.personas.personas_table import messages as messages_table
from agent.personas.prompt import conversation
from agent.personas.service import PersonaService
from agent.personas.turn import PersonaTurn
from agent.storage.database import Database, open_database
from agent.turns import TurnService
from config.errors import ConversationNotFound, DeadlineExceeded, ProviderOverloaded
from config.models.deployments import Timeouts
from config.profile.agent_file import AgentProfile
from config.profile.memory import Trim
from tests.support.scripted_lane import HANG, Script, ScriptedLane, call, deployment, finish, router_over, text, usage
from tests.support.sqlite_threads import sqlite_connections_closed

SHAPE = '{"minutes": 1}'
WRONG = [text('{"minutes": '), text('"two"}'), finish(), usage(3, 2)]
RIGHT = [text('{"minutes": 2}'), finish(), usage(5, 4)]
PROFILE = AgentProfile(system_prompt="Be kind.", tools=("transferCall", "multiply"))


class Rig:
    """One conversation with one persona; one script for each model call."""

    def __init__(
        self, database: Database, *scripts: Script, profile: AgentProfile = PROFILE, **timeouts: float
    ) -> None:
        self.lane = ScriptedLane({"a": list(scripts)})
        settings = {"timeouts": Timeouts(**timeouts)} if timeouts else {}
        prices = {"input_cost_per_token": 1.0, "output_cost_per_token": 10.0}
        router = router_over(self.lane, deployment("a", info=prices), num_retries=0, **settings)
        self.database = database
        self.service = PersonaService(TurnService(router, profile), database)
        self.talk = ""
        self.turn: PersonaTurn | None = None

    async def converse(self, **fields: Any) -> None:
        persona = await self.service.store.create(PersonaFields(**{"context": "You cook.", **fields}))
        self.talk = (await self.service.conversations.create(persona.id)).id

    async def events(self, said: str = "Hi") -> list[Event]:
        self.turn = await self.service.begin(self.talk, said)
        async with aclosing(self.turn.events()) as events:
            return [event async for event in events]

    async def stored(self) -> list[str]:
        return [each.agent_message for each in await self.service.conversations.messages(self.talk)]

    @property
    def sent(self) -> list[list[tuple[str, Any]]]:
        return [[(each["role"], each["content"]) for each in attempt.messages] for attempt in self.lane.attempts]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(None, tmp_path, 2, 1.0) as database:
        yield database
    await sqlite_connections_closed()


async def test_an_answer_is_asked_for_again_until_it_fits(database: Database) -> None:
    rig = Rig(database, WRONG, RIGHT)
    await rig.converse(response_shape=SHAPE)
    assert await rig.events() == [TextDelta('{"minutes": 2}'), Usage(8, 6, cost=68.0), TurnFinished("stop")]
    problem = "$.minutes must be a number, not a string"
    assert rig.sent[1] == [
        *rig.sent[0],
        ("assistant", '{"minutes": "two"}'),
        ("user", f"This answer does not fit the shape: {problem}. Answer again, with nothing but JSON of that shape."),
    ]
    assert rig.turn is not None and rig.turn.shape == "match"
    assert await rig.stored() == ['{"minutes": 2}']


async def test_an_answer_that_fits_is_asked_for_once(database: Database) -> None:
    rig = Rig(database, RIGHT)
    await rig.converse(response_shape=SHAPE)
    assert await rig.events() == [TextDelta('{"minutes": 2}'), Usage(5, 4, cost=45.0), TurnFinished("stop")]
    assert len(rig.sent) == 1


@pytest.mark.parametrize("second", [[ProviderOverloaded("no", status=503)], [text(""), finish()]])
async def test_when_the_second_answer_fails_the_first_one_is_given(database: Database, second: Script) -> None:
    rig = Rig(database, WRONG, second)
    await rig.converse(response_shape=SHAPE)
    events = await rig.events()
    assert [events[0], events[-1]] == [TextDelta('{"minutes": "two"}'), TurnFinished("stop")]
    assert rig.turn is not None and rig.turn.shape == "mismatch"
    assert await rig.stored() == ['{"minutes": "two"}']


async def test_a_second_answer_that_never_comes_does_not_outlast_the_turns_deadline(database: Database) -> None:
    rig = Rig(database, WRONG, [HANG], turn_deadline=0.3)
    await rig.converse(response_shape=SHAPE)
    events = await rig.events()
    assert [events[0], events[-1]] == [TextDelta('{"minutes": "two"}'), TurnFinished("stop")]
    assert rig.turn is not None and [each.record.asked for each in rig.turn.turns] == ["main", "main"]


async def test_text_is_passed_on_at_once_when_nothing_is_checked(database: Database) -> None:
    rig = Rig(database, [text("Hel"), text("lo."), finish(), usage(1, 1)])
    await rig.converse(response_shape="a poem")
    assert (await rig.events())[:2] == [TextDelta("Hel"), TextDelta("lo.")]
    assert rig.turn is not None and rig.turn.shape == "unchecked"


async def test_tools_run_while_the_text_is_held_and_a_hand_off_lets_it_go(database: Database) -> None:
    rig = Rig(
        database,
        [text("Let me see. "), call("multiply", '{"a":6,"b":7}'), finish("tool_calls")],
        [text("Connecting."), call("transferCall", "{}"), finish("tool_calls")],
    )
    await rig.converse(response_shape=SHAPE)
    events = await rig.events()
    assert [type(each) for each in events] == [ToolStarted, ToolFinished, TextDelta, HandOff, Usage, TurnFinished]
    assert events[2] == TextDelta("Let me see. Connecting.")
    assert await rig.stored() == ["Let me see. Connecting."]
    assert rig.turn is not None and rig.turn.shape == "unchecked"


async def test_a_turn_that_fails_stores_nothing(database: Database) -> None:
    rig = Rig(database, [text("Hel"), HANG], turn_deadline=0.1)
    await rig.converse()
    *_, last = await rig.events()
    assert isinstance(last, TurnFailed) and isinstance(last.error, DeadlineExceeded)
    assert await rig.stored() == []


async def test_a_turn_that_is_abandoned_stores_nothing_and_leaves_the_conversation(database: Database) -> None:
    rig = Rig(database, [text("Hel"), HANG], [text("Hello."), finish()])
    await rig.converse()
    turn = await rig.service.begin(rig.talk, "Hi")
    async with aclosing(turn.events()) as events:
        assert await anext(events) == TextDelta("Hel")
    assert rig.lane.closed == 1 and await rig.stored() == []
    assert (await rig.events())[0] == TextDelta("Hello.")


async def test_an_answer_to_a_deleted_conversation_is_not_stored(database: Database) -> None:
    rig = Rig(database, [text("Hello."), finish()])
    await rig.converse()
    turn = await rig.service.begin(rig.talk, "Hi")
    async with aclosing(turn.events()) as events:
        await anext(events)
        await rig.service.conversations.delete(rig.talk)
        with pytest.raises(ConversationNotFound):
            async for _ in events:
                pass


# What the model is sent of a long conversation


def exchanges(count: int, length: int = 10) -> list[Exchange]:
    said = [f"{number} {'x' * length}" for number in range(1, count + 1)]
    return [Exchange("", "", number, None, each, each) for number, each in enumerate(said, 1)]  # type: ignore[arg-type]


CHEF = PersonaFields(context="You cook.", first_message="Hello!", instructions="Be brief.")


def numbers(messages: list[Any]) -> list[int]:
    return [int(each.content.split()[0]) for each in messages if each.content[0].isdigit()]


def test_the_oldest_exchanges_are_dropped_and_the_persona_stays() -> None:
    sent = conversation(CHEF, exchanges(10), "Now?", [Trim(max_messages=5)])
    assert [each.content for each in (sent[0], *sent[-2:])] == ["Hello!", "Be brief.", "Now?"]
    assert numbers(sent) == [9, 9, 10, 10]
    assert numbers(conversation(CHEF, exchanges(10, 400), "Now?", [Trim(max_tokens=700)])) == [8, 8, 9, 9, 10, 10]
    assert [each.content for each in conversation(CHEF, exchanges(3), "x" * 9_000, [Trim(max_tokens=50)])] == [
        *("Hello!", "Be brief.", "x" * 9_000)
    ]


def test_an_answer_without_text_is_left_out() -> None:
    silent = Exchange("", "", 1, None, "Connect me.", "")  # type: ignore[arg-type]
    sent = conversation(CHEF, [silent], "Still there?", [])
    assert [each.content for each in sent] == ["Hello!", "Connect me.", "Be brief.", "Still there?"]


@asynccontextmanager
async def rows_of_statements(database: Database) -> AsyncIterator[list[str]]:
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def fill(rig: Rig, count: int) -> None:
    async with rig.database.begin() as connection:
        rows = [
            {"conversation_id": rig.talk, "number": at, "id": str(at), "created": datetime.now(UTC),
             "user_message": f"{at} is my number", "agent_message": f"{at}, I see"}
            for at in range(1, count + 1)
        ]  # fmt: skip
        await connection.execute(insert(messages_table), rows)


async def test_a_turn_after_5000_exchanges_reads_and_sends_what_one_after_50_does(database: Database) -> None:
    seen = []
    for count in (50, 5_000):
        rig = Rig(database, [text("Hello."), finish()])
        await rig.converse()
        await fill(rig, count)
        async with rows_of_statements(database) as statements:
            await rig.events()
        seen.append((len(statements), len(rig.sent[0]), rig.sent[0][-2][1]))
        assert (await rig.stored())[-1] == "Hello." and len(await rig.stored()) == count + 1
    (few, short, _), (many, long, newest) = seen
    assert (few, short) == (many, long) and long == 100 and newest == "5000, I see"


async def test_more_is_read_when_agent_yaml_allows_more(database: Database) -> None:
    rig = Rig(database, [text("Hello."), finish()], profile=AgentProfile("Be kind.", trim=Trim(max_messages=241)))
    await rig.converse()
    await fill(rig, 500)
    await rig.events()
    assert rig.sent[0][1] == ("user", "381 is my number") and len(rig.sent[0]) == 242
