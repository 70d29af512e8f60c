"""The items of stored responses: what a request goes on after or refers to, and what `input_items` lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.responses.store import ResponseStore, StoredResponse
from api.responses.input_items import Item
from api.responses.response_object import ID_PREFIX, Object, item_id, text_part
from config.errors import RequestError

FIRST_INPUT: Final = 0x8000
"""Items of the input are numbered from here, those of the output from 0."""

PREFIXES: Final = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}


UNFINISHED: Final = ("queued", "in_progress")
"""The statuses of a response in the background whose turn has not ended."""


@dataclass(frozen=True, slots=True)
class Unstored:
    """A response that is not stored, and all items up to its end."""

    id: str
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Conversation:
    """The stored response `previous` to a request, all items up to it, and the request's own items.

    Without `previous`, the `earlier` items are those of an unstored response.
    """

    previous: StoredResponse | None
    earlier: Sequence[Item]
    items: Sequence[Item]

    @property
    def input(self) -> Sequence[Item]:
        """What has to be stored with the response, so that it can be gone on with."""
        return self.items if self.previous else [*self.earlier, *self.items]


async def conversation(
    store: ResponseStore,
    caller: str,
    previous_id: str | None,
    items: Sequence[Item],
    unstored: Unstored | None = None,
) -> Conversation:
    """What a request with these `items` goes on after. References in them are replaced.

    `unstored` is a response that it may go on after beside those in the store.

    Raises:
        PreviousResponseNotFound: see `ResponseStore.chain`.
        RequestError: the response before it has not ended, or has failed; or a reference names no stored item.
    """
    if unstored is not None and unstored.id == previous_id:
        return Conversation(None, unstored.items, await _resolved(store, caller, items))
    chain = await store.chain(caller, previous_id) if previous_id else ()
    if chain:
        _require_answer(chain[-1])
    earlier = [item for each in chain for item in (*each.input, *each.response["output"])]
    return Conversation(chain[-1] if chain else None, earlier, await _resolved(store, caller, items))


def listed(chain: Sequence[StoredResponse]) -> list[Object]:
    """All that the last response of the chain was an answer to, oldest first, each item with its id."""
    *before, last = chain
    found = [item for each in before for item in (*_inputs(each), *each.response["output"])]
    return [*found, *_inputs(last)]


def _require_answer(previous: StoredResponse) -> None:
    status = previous.response["status"]
    if status in UNFINISHED:
        problem = f"Previous response with id '{previous.id}' has not ended yet. Wait until it is completed."
        raise RequestError(problem, param="previous_response_id")
    if status not in ("completed", "incomplete"):
        problem = f"Previous response with id '{previous.id}' has no answer to go on after: it is {status}."
        raise RequestError(problem, param="previous_response_id")


async def _resolved(store: ResponseStore, caller: str, items: Sequence[Item]) -> list[Item]:
    wanted = {str(item.get("id")): number for number, item in enumerate(items) if item["type"] == "item_reference"}
    if not wanted:
        return list(items)
    responses = await store.find(caller, sorted({_response_id(each) for each in wanted}))
    known = {item["id"]: item for each in responses.values() for item in (*each.response["output"], *_inputs(each))}
    for each, number in wanted.items():
        if each not in known:
            raise RequestError(f"Item with id '{each}' not found.", param=f"input[{number}].id")
    return [known[item["id"]] if item["type"] == "item_reference" else item for item in items]


def _response_id(item: str) -> str:
    """Of the response whose key is in the id of an item, see `item_id`."""
    return f"{ID_PREFIX}{item.partition('_')[2][:-4]}"


def _inputs(stored: StoredResponse) -> Iterator[Object]:
    key = stored.id.removeprefix(ID_PREFIX)
    for number, item in enumerate(stored.input):
        yield _listed(item, item_id(PREFIXES.get(item["type"], "item"), key, FIRST_INPUT + number))


def _listed(item: Item, default_id: str) -> Object:
    """The item in full: callers may leave out what is clear."""
    whole: Object = {"id": default_id, **item, "status": "completed"}
    match item["type"]:
        case "message" if isinstance(content := item.get("content"), str):
            own = item.get("role") == "assistant"
            whole["content"] = [text_part(content) if own else {"type": "input_text", "text": content}]
        case "message":
            whole["content"] = [_part(each) for each in item.get("content") or ()]
        case "reasoning":
            whole = {"summary": [], **whole}
    return whole


def _part(part: Any) -> Any:
    match part:
        case {"type": "input_image"}:
            return {"detail": "auto", **part}
        case {"type": "output_text"}:
            return {"annotations": [], **part}
    return part
