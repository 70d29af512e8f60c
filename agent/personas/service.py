"""Runs turns with personas: in stored conversations, and as models of other APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

from agent.personas.conversations import ConversationStore
from agent.personas.persona import MODEL_PREFIX, Persona
from agent.personas.prompt import in_front_of
from agent.personas.store import PersonaStore
from agent.personas.turn import PersonaTurn
from agent.storage.database import Database
from agent.turn_request import TurnRequest
from agent.turns import TurnService
from config.errors import ModelNotFound, PersonaNotFound


class PersonaService:
    """The personas in `database`, which run on `turns`."""

    def __init__(self, turns: TurnService, database: Database) -> None:
        self.store = PersonaStore(database)
        self.conversations = ConversationStore(database)
        self._turns = turns
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def begin(self, conversation_id: str, message: str, caller: str | None = None) -> PersonaTurn:
        """Begin the turn that answers `message`; it runs while its events are read. `caller` is who asks for it.

        Raises:
            ConversationNotFound: there is no such conversation.
            ModelNotFound, ModelUnavailable: the persona's model cannot be used.
        """
        persona = await self.conversations.persona(conversation_id, self._turns.callers.owner(caller))
        self._turns.allow(caller, persona.model, persona.model_names)
        self._turns.router.check(persona.model)
        lock = self._locks.setdefault(conversation_id, asyncio.Lock())
        return PersonaTurn(self._turns, self.conversations, lock, persona, conversation_id, message, caller)

    async def named_by(self, model: str, caller: str | None) -> Persona:
        """The persona of the model name `agent:<id or name>`. Raises ModelNotFound, also if not for the caller."""
        try:
            persona = await self.store.find(model.removeprefix(MODEL_PREFIX))
        except PersonaNotFound:
            persona = None
        if persona is None or not self._turns.callers.may_use(caller, *persona.model_names):
            raise ModelNotFound(
                f"The model {model!r} does not exist: there is no such agent. GET /v1/models lists those that do.",
                param="model",
            )
        return persona

    async def resolve(self, request: TurnRequest) -> TurnRequest:
        """`request` with the persona that its model names, if it names one. What the request says itself wins.

        Raises:
            ModelNotFound: there is no such persona, or not for the caller.
        """
        if request.model is None or not request.model.startswith(MODEL_PREFIX):
            return request
        persona = await self.named_by(request.model, request.caller)
        params = {**persona.params, **request.params}
        if "max_completion_tokens" in request.params and "max_tokens" not in request.params:
            params.pop("max_tokens", None)  # the limit has two names
        return replace(
            request,
            model=persona.model,
            messages=in_front_of(persona, request.messages),
            params=params,
            system_prompt=persona.context,
            agent_tools=persona.tools,
            allowed_as=persona.model_names,
            agent=persona.shown_name,
        )

    async def models(self) -> Sequence[Persona]:
        """The personas that are models, oldest first."""
        return await self.store.list()
