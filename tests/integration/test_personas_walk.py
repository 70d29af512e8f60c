"""The walk of a user of personas: a chef, one conversation, an allergy named once, a restart; the memory is there."""

from __future__ import annotations

from pathlib import Path

import httpx
from pydantic import SecretStr

from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.persona_client import CHEF, PersonaClient
from tests.support.serving import direct, serving

ALLERGY = "I love pasta, and I am allergic to peanuts."
SHAPE = (
    "{'recipe': 'string, name of the recipe', 'ingredients': 'List of the ingredients used in the recipe', "
    "'summary': 'string, summary of the recipe'}"
)
INSTRUCTIONS = "Focus on extracting recipes and ingredients that were mentioned in the conversation."


async def test_the_chef_remembers_the_allergy_also_after_a_restart(tmp_path: Path, database_url: SecretStr) -> None:
    talk = ""

    async def visit(*messages: str) -> list[list[tuple[str, str]]]:
        """Run the server, say `messages`; returns what the provider received."""
        nonlocal talk
        models = [direct("provider", provider.base_url, "fake-ok")]
        async with (
            serving(tmp_path, *models, agent={"tools": []}, database_url=database_url) as server,
            httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=20) as http,
        ):
            client = PersonaClient(http)
            talk = talk or await client.converse(response_shape=SHAPE, instructions=INSTRUCTIONS)
            first = len(provider.log)
            for message in messages:
                await client.chat(talk, message)
            return [
                [(each["role"], each["content"]) for each in record.body["messages"]]
                for record in list(provider.log)[first::2]  # each answer is asked for twice: it is no JSON
            ]

    async with FakeProvider() as provider:
        *_, asked = await visit(ALLERGY, "What goes well with tomatoes?", "What must I not eat?")
        told = f"{INSTRUCTIONS}\n\nFollow a RFC8259 compliant JSON with a shape of: {SHAPE}"
        beginning = [("system", CHEF["context"]), ("assistant", CHEF["first_message"]), ("user", ALLERGY)]
        assert asked == [
            *beginning,
            ("assistant", ANSWER),
            ("user", "What goes well with tomatoes?"),
            ("assistant", ANSWER),
            ("user", told),
            ("user", "What must I not eat?"),
        ]
        (after,) = await visit("And today?")
        assert after[:-2] == [*asked[:-2], ("user", "What must I not eat?"), ("assistant", ANSWER)]
        assert after[-1] == ("user", "And today?")
