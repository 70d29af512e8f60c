from __future__ import annotations

from agent.sessions.signals import Signals, stop_topic, turn_ended_topic


async def test_a_word_reaches_all_who_listen_for_it_and_nobody_else() -> None:
    signals, heard = Signals(), list[str]()
    with (
        signals.subscribe("a", lambda: heard.append("first")),
        signals.subscribe("a", lambda: heard.append("second")),
        signals.subscribe("b", lambda: heard.append("other")),
    ):
        await signals.publish("a")
    assert heard == ["first", "second"]


async def test_who_has_stopped_listening_hears_nothing_while_others_do() -> None:
    signals, heard = Signals(), list[str]()
    with signals.subscribe("a", lambda: heard.append("stays")):
        with signals.subscribe("a", lambda: heard.append("leaves")):
            pass
        await signals.publish("a")
    await signals.publish("a")
    assert heard == ["stays"]


async def test_a_word_that_nobody_waits_for_does_no_harm() -> None:
    await Signals().publish("a")


async def test_one_may_stop_listening_because_of_the_word() -> None:
    signals, heard = Signals(), list[str]()
    listening = signals.subscribe("a", lambda: (heard.append("once"), listening.__exit__(None, None, None))[0])
    listening.__enter__()
    with signals.subscribe("a", lambda: heard.append("other")):
        await signals.publish("a")
        await signals.publish("a")
    assert heard == ["once", "other", "other"]


def test_the_words_for_turns_and_threads_are_never_the_same() -> None:
    assert len({stop_topic("1"), turn_ended_topic("1"), stop_topic("2"), turn_ended_topic("2")}) == 4
