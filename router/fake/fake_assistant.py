"""`fake/assistant`: plays the shipped profile `config/assistant.yaml` without a key. Pure functions.

It uses the tools book_hotel, get_weather, multiply and remember where they are offered, in English and Chinese, and
otherwise answers as `fake/echo` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import orjson

from router.fake.fake_answer import Message, after_prefill, answer, text_of
from router.fake.fake_script import Action, Call, Say, read_script

_HOTEL: Final = re.compile(
    r"(?:预订|预定|订(?![单阅婚]))(?:一下|一个|一间|个|间)?(?P<zh>[^，。！？,.!?]+)"
    r"|(?P<brand>(?:如家|桔子|全季|汉庭)[^，。！？,.!?]*)"
    r"|(?:^|\b(?:please|you|to|and) )book\b(?: me)?(?: an?)?(?: room)?(?: (?:at|in))?(?: the)? (?P<en>[^,.!?]+)",
    re.IGNORECASE,
)
_NO_HOTEL: Final = frozenset({"", "酒店", "房间", "房", "hotel", "room", "hotel room"})
_RENAME: Final = re.compile(
    r"(?:换[为成]|改[为成]|change\b.*? to|rename\b.*? to)\s*[:：]?\s*(?P<name>[^，。！？,!?]+)", re.I
)
_BOOKED: Final = re.compile(r"Booked a room at (?P<name>.+)\.")
_ASKS_ZH: Final = re.compile(r"(?:请问|查询|查一下|帮我查|告诉我|今天|明天|现在)*")
_WHEN_ZH: Final = re.compile(r"(?:今天|明天|现在)?的?$")
_WEATHER_EN: Final = re.compile(r"\bweather\b.*?\b(?:in|at|for) (?P<city>[^,.!?]+)", re.IGNORECASE)
_NUMBER: Final = (
    r"(-?(?<![\d.])\d{1,15}(?:\.\d{1,15})?(?!\d)|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
)
_PRODUCT: Final = re.compile(rf"{_NUMBER}\s*(?:[x×*＊]|times|multiplied by|乘以|乘)\s*{_NUMBER}", re.IGNORECASE)
_WORDS: Final = "zero one two three four five six seven eight nine ten eleven twelve".split()
_FACT: Final = re.compile(
    r"记住[:：，,]?\s*(?P<zh>.+)|(?P<zh_name>我叫(?!什么)[^，。！？]+)|\bremember(?: that)?[:,]? (?P<en>.+)"
    r"|(?P<en_name>\bmy name is \w+)",
    re.IGNORECASE,
)
_RECALL: Final = re.compile(
    r"我是谁|我叫什么|记得我|知道我|你记得|\bwho am i\b|\bwhat is my name\b|\bdo you (?:know|remember)\b", re.IGNORECASE
)
_KNOWN: Final = re.compile(r"What you know about this user.*\n((?:- .*(?:\n|$))+)")
_MAX_SAID: Final = 500
"""Characters of a message that the patterns are tried on: their time grows with its square."""
_CHINESE: Final = re.compile("[\u4e00-\u9fff]")


def assistant_answer(messages: Sequence[Message], params: Mapping[str, Any], tokens: int | None = None) -> list[Action]:
    """The actions of one step, as `fake_answer.answer` returns them. A script is followed as there."""
    last = max((at for at, each in enumerate(messages) if each.get("role") == "user"), default=-1)
    said = text_of(messages[last]) if last >= 0 else ""
    plays = len(said) <= _MAX_SAID and params.get("tool_choice") in (None, "auto")
    if tokens is not None or read_script(said) is not None or not plays:
        return answer(messages, params, tokens)
    offered = frozenset(str(each.get("function", {}).get("name", "")) for each in params.get("tools") or ())
    results = _newest_results(messages[last + 1 :])
    if results:
        actions = _after_tools(results, offered, said)
    else:
        actions = _first_step(said, offered, messages)
    return after_prefill(actions, messages) if actions else answer(messages, params, tokens)


def _first_step(said: str, offered: frozenset[str], messages: Sequence[Message]) -> list[Action]:
    """The first rule that fits what was said, of those whose tool is offered."""
    rules: Sequence[tuple[str, Callable[[str], list[Action]]]] = (
        ("get_weather", _weather),
        ("multiply", _product),
        ("remember", partial(_recalled, messages)),
        ("remember", _fact),
        ("book_hotel", _booking),
    )
    return next((actions for tool, rule in rules if tool in offered and (actions := rule(said))), [])


def _booking(said: str) -> list[Action]:
    found = _HOTEL.search(said)
    if found is None:
        return []
    name = (found["zh"] or found["brand"] or found["en"]).strip()
    name = re.sub(r"\s+please$|吧$", "", name, flags=re.IGNORECASE)
    if name.lower() in _NO_HOTEL:
        return [Say(_either(said, "您想预订哪家酒店？", "Which hotel shall I book?"))]
    return [_call("book_hotel", hotel_name=name)]


def _weather(said: str) -> list[Action]:
    before, asks, _ = said.partition("天气")
    if asks:
        city = _WHEN_ZH.sub("", _ASKS_ZH.sub("", re.split(r"[\s，。！？]", before)[-1], count=1))
        return [_call("get_weather", city=city)] if city else [Say("您想知道哪个城市的天气？")]
    if found := _WEATHER_EN.search(said):
        return [_call("get_weather", city=found["city"].strip())]
    return [Say("Which city?")] if re.search(r"\bweather\b", said, re.IGNORECASE) else []


def _product(said: str) -> list[Action]:
    found = _PRODUCT.search(said)
    return [_call("multiply", a=_number(found[1]), b=_number(found[2]))] if found else []


def _fact(said: str) -> list[Action]:
    found = _FACT.search(said)
    return [_call("remember", content=next(each for each in found.groups() if each).strip())] if found else []


def _recalled(messages: Sequence[Message], said: str) -> list[Action]:
    """What the system prompt says of the user, or what was said before in the conversation."""
    if not _RECALL.search(said):
        return []
    prompts = "\n".join(text_of(each) for each in messages if each.get("role") in ("system", "developer"))
    known = _KNOWN.search(prompts)
    facts = [line.removeprefix("- ") for line in known[1].splitlines()] if known else []
    if not facts:
        earlier = [text_of(each) for each in messages if each.get("role") == "user"][:-1]
        facts = [next(filter(None, found.groups())) for each in earlier if (found := _FACT.search(each))]
    if not facts:
        return [Say(_either(said, "我还不知道您的任何信息。", "I do not know anything about you yet."))]
    return [Say(_either(said, f"我记得：{'；'.join(facts)}", f"I remember: {'; '.join(facts)}"))]


def _newest_results(since: Sequence[Message]) -> list[tuple[str, str]]:
    """The tools and results of the newest step."""
    start = max((at for at, each in enumerate(since) if each.get("role") == "assistant"), default=-1)
    calls = since[start].get("tool_calls") or () if start >= 0 else ()
    names = {call["id"]: str(call["function"]["name"]) for call in calls}
    results = [each for each in since[start + 1 :] if each.get("role") == "tool"]
    return [(names.get(each.get("tool_call_id", ""), ""), text_of(each)) for each in results]


def _after_tools(results: Sequence[tuple[str, str]], offered: frozenset[str], said: str) -> list[Action]:
    """Tells the results. A reviewer who asked for another hotel gets another booking to review."""
    for tool, result in results:
        if tool == "book_hotel" and tool in offered and (found := _RENAME.search(result[:_MAX_SAID])):
            return [_call("book_hotel", hotel_name=found["name"].strip())]
    return [Say(_either(said, "", " ").join(_told(tool, result, said) for tool, result in results))]


def _told(tool: str, result: str, said: str) -> str:
    match tool:
        case "book_hotel" if found := _BOOKED.search(result):
            return _either(said, f"已为您预订：{found['name']}。", f"I booked a room at {found['name']}.")
        case "book_hotel" if "declined" in result:
            return _either(said, "好的，没有预订。", "All right, I booked nothing.")
        case "multiply":
            return _either(said, f"结果是 {result}。", f"The result is {result}.")
        case "remember" if result == "Remembered.":
            return _either(said, "好的，我记住了。", "I will remember that.")
    return result


def _call(name: str, **arguments: Any) -> Call:
    return Call(name, orjson.dumps(arguments).decode())


def _number(text: str) -> float:
    return _WORDS.index(text.lower()) if text.lower() in _WORDS else float(text) if "." in text else int(text)


def _either(said: str, chinese: str, english: str) -> str:
    return chinese if _CHINESE.search(said) else english
