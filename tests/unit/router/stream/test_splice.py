"""Splicing: whatever the fallback repeats, the caller has the whole text once.

Repetition and speech cannot always be told apart, so the properties hold for texts in which no word comes twice (nor
begins with itself, as "murmur" does), no two blanks follow each other, and a Latin sentence ends in a blank. The
examples say what happens elsewhere.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.stream.splice import MAX_SUFFIX, Splice, continuation_messages
from router.stream.text_overlap import normalized

FIRST = ["Certainly", "Good", "I", "Écoutez", "Übrigens", "Don't", "Thank", "您好"]
LATIN = [
    "morning",
    "your",
    "table",
    "it's",
    "reservation",
    "for",
    "two",
    "café",
    "nai\u0308ve",
    "Straße",
    "booked",
    "at",
]
LATIN += ["eight", "o’clock", "e\u0301te\u0301", "tonight", "Grand", "Hôtel", "please", "wait", "bring"]
NUMBERS = ["$45", "2026", "7:30"]
CHINESE = ["酒店", "房间", "明天", "可以", "预订", "早餐", "附近", "三楼", "停车场"]
EMOJI = ["😀", "👩‍👩‍👧‍👦", "👍🏽", "🇫🇷", "❤️"]
GAPS = [" ", " ", " ", ", ", ". ", "! ", "? ", "\n", " — ", "… ", ': "', '" ']


@st.composite
def texts(draw):
    """A text and the places of its words; emoji and numbers are none."""
    first = draw(st.sampled_from(FIRST))
    rest = draw(st.lists(st.sampled_from(LATIN + CHINESE + EMOJI + NUMBERS), min_size=1, max_size=14, unique=True))
    text, words = first, [(0, len(first))]
    for piece in rest:
        both_chinese = piece in CHINESE and text[-1] in "".join(CHINESE)
        text += draw(st.sampled_from(["", "，", "。", "、"] if both_chinese else GAPS))
        if piece not in (*EMOJI, *NUMBERS):
            words.append((len(text), len(text) + len(piece)))
        text += piece
    return text + draw(st.sampled_from(["", ".", "!", "。"])), words


def in_chunks(draw, text):
    """The text, cut anywhere."""
    sizes = draw(st.one_of(st.just([1] * len(text)), st.lists(st.integers(1, 12), max_size=len(text))))
    at = 0
    for size in sizes:
        yield text[at : at + size]
        at += size
    yield text[at:]


def whole(spoken, chunks, *, prefilled=False):
    """What the caller has in the end."""
    splice = Splice(spoken, prefilled=prefilled)
    return spoken + "".join([splice.take(chunk) for chunk in chunks]) + splice.end()


# What a fallback may do


@given(texts(), st.data())
def test_a_direct_continuation_is_passed_on(a_text, data):
    text, _ = a_text
    cut = data.draw(st.integers(0, len(text)))
    assert whole(text[:cut], in_chunks(data.draw, text[cut:])) == text


@given(texts(), st.data())
def test_a_continuation_of_a_prefill_may_repeat_the_space(a_text, data):
    text, _ = a_text
    spoken = text[: data.draw(st.integers(0, len(text)))]
    prefill = "".join(each["content"] for each in continuation_messages([], spoken, prefill=True))
    assert whole(spoken, in_chunks(data.draw, text[len(prefill) :]), prefilled=True) == text


@given(texts(), st.booleans(), st.data())
def test_a_restart_is_not_repeated(a_text, prefilled, data):
    text, _ = a_text
    cut = data.draw(st.integers(2 if text.startswith("您好") else 1, len(text)))
    assert whole(text[:cut], in_chunks(data.draw, text), prefilled=prefilled) == text


@given(texts(), st.booleans(), st.sampled_from([" ", "\n\n", "“", "… ", "**"]), st.data())
def test_a_restart_may_begin_with_other_punctuation(a_text, prefilled, marks, data):
    text, words = a_text
    cut = data.draw(st.integers(words[0][1], len(text)))
    assert whole(text[:cut], in_chunks(data.draw, marks + text), prefilled=prefilled) == text


@given(texts(), st.booleans(), st.data())
def test_a_repeated_suffix_of_three_words_is_dropped(a_text, prefilled, data):
    text, words = a_text
    cut = data.draw(st.integers(0, len(text)))
    spoken_words = [begin for begin, end in words if end <= cut]
    at = data.draw(st.integers(0, spoken_words[-3] if len(spoken_words) > 2 else 0))
    if at == 0:
        cut = max(cut, words[0][1])
    assert whole(text[:cut], in_chunks(data.draw, text[at:]), prefilled=prefilled) == text


@given(texts(), st.data())
def test_a_restart_with_other_case_quotes_and_accents_leaves_only_what_follows(a_text, data):
    text, words = a_text
    cut = data.draw(st.sampled_from([end for _, end in words[2:]] or [len(text)]))
    retold = text[:cut].replace("'", "’").replace(" ", "  ").replace("e\u0301", "é").replace("Hôtel", "Ho\u0302tel")
    said = whole(text[:cut], in_chunks(data.draw, retold.swapcase() + text[cut:])) if len(words) > 2 else text
    assert said == text


# What holds for every text

ANY = st.text(st.one_of(st.sampled_from("ab B.,!你好'\n é\u0301😀\u200d1"), st.characters(codec="utf-8")), max_size=60)


@given(ANY, ANY, st.booleans(), st.data())
def test_the_split_into_chunks_makes_no_difference(spoken, heard, prefilled, data):
    chunks = in_chunks(data.draw, heard)
    assert whole(spoken, chunks, prefilled=prefilled) == whole(spoken, [heard], prefilled=prefilled)


@given(ANY, ANY, st.booleans())
def test_the_new_text_is_a_suffix_of_the_fallbacks_text(spoken, heard, prefilled):
    new = whole(spoken, [heard], prefilled=prefilled)[len(spoken) :]
    assert heard.endswith(new) or heard.endswith(new.strip()) or new.split() == heard.split()[-len(new.split()) :]


@given(ANY, ANY, st.booleans())
def test_a_letter_that_was_not_spoken_is_passed_on_at_once(spoken, heard, prefilled):
    splice = Splice(spoken, prefilled=prefilled)
    letters = [char for char in heard if normalized(char)]
    passed = splice.take(heard)
    if letters and not set(normalized(letters[0])) & set("".join(map(normalized, spoken))):
        assert passed.strip() == heard.strip()
        assert splice.take("!") == "!"


@given(texts(), st.booleans(), st.data())
def test_text_is_held_back_only_while_it_matches_the_spoken_text(a_text, prefilled, data):
    text, _ = a_text
    cut = data.draw(st.integers(1, len(text)))
    splice = Splice(text[:cut], prefilled=prefilled)
    spoken = "".join(map(normalized, text[:cut]))
    for end in range(cut, len(text)):
        if splice.take(text[end]):
            break
        # Behind a repetition that was complete, one more character shows whether the word ends there.
        assert "".join(map(normalized, text[cut:end])) in spoken


def test_a_continuation_after_an_ordinary_sentence_is_held_back_for_at_most_a_word():
    spoken = "Your table for two is booked at the Grand Hotel tonight at eight. Would you like"
    for going_on in (" to add breakfast?", " the window seat?", " a taxi to the hotel?", " your bill by mail?"):
        splice = Splice(spoken, prefilled=False)
        held = next(at for at, char in enumerate(going_on) if splice.take(char))
        assert held <= 6, going_on


def test_once_new_text_has_begun_nothing_is_held_back():
    splice = Splice("Good morning. How may I", prefilled=False)
    assert splice.take(" help you?") == " help you?"
    assert splice.take("Good") == "Good"
    assert splice.take(" morning. How may I") == " morning. How may I"
    assert splice.end() == ""


def test_punctuation_after_a_repetition_does_not_wait_for_the_next_word():
    assert Splice("Good morning, Sir. ", prefilled=False).take("Good morning, Sir. — ") == "— "


def test_text_without_letters_is_not_held_back_for_ever():
    splice = Splice("Good morning", prefilled=False)
    passed = [splice.take("-" * 100) for _ in range(5)]
    assert len("".join(passed)) == 500
    padded = Splice("Good morning", prefilled=False)
    assert padded.take("Good morning" + "\n" * 1000)


# Judgement calls

JUDGED = {
    # a word that comes twice, or is repeated
    "a word twice, with its own space": ("I am very", " very good", "I am very very good"),
    "a word twice, after a space": ("I am very ", "very good", "I am very very good"),
    "a word that would be glued to itself": ("I am very", "very good", "I am very good"),
    "a word all alone, in small letters": ("very", " very good", "very very good"),
    "no is a single word": ("no no no ", "no no", "no no no no no"),
    "no with its own space": ("No, no, no", " no, never", "No, no, no no, never"),
    "a long word counts as two": ("Your reservation ", "reservation is made", "Your reservation is made"),
    "two words after a space": ("This is a ", "is a test", "This is a test"),
    "two words with their own space": ("over and over", " and over again", "over and over and over again"),
    "two words that would be glued": ("Welcome to the", "to the Grand", "Welcome to the Grand"),
    "three words with their own space": ("Please take a seat", " take a seat here", "Please take a seat here"),
    "an ending that begins within a word": ("Good morning, my fr", "orning, my friend", "Good morning, my friend"),
    "digits are no evidence": ("Call 555 55", "555 55 12", "Call 555 55555 55 12"),
    "digits go along with words": ("It costs about 45", "costs about 45 euros", "It costs about 45 euros"),
    # the word at the cut
    "the word that was cut": ("Good mor", "morning to you", "Good morning to you"),
    "the word that was cut goes on": ("Goo", "d morning", "Good morning"),
    "the word that was cut, in other case": ("Good mor", "Morning", "Good morMorning"),
    "a word that begins with itself loses": ("They mur", "mur", "They mur"),
    "one small letter": ("a", "ardvark", "aardvark"),
    "one small letter within the text": ("This is a", "a", "This is aa"),
    "one capital": ("I", "I am here", "I am here"),
    "letters that are not a word's beginning": ("Grand Hotel", "elephant", "Grand Hotelelephant"),
    "a word behind the rest of another": ("Hello my fr", "y friend", "Hello my fry friend"),
    "a word with an apostrophe is one": ("I don't ", "don't know", "I don't don't know"),
    "vowels that are written as marks": ("आप की", "आप का घर", "आप कीआप का घर"),
    "words that differ in a vowel mark": ("की बात है", "का बात है और", "की बात हैका बात है और"),
    "a letter behind a name": ("It is plan C", "can help", "It is plan Ccan help"),
    # restarts of little
    "three letters": ("Hel", "Hello there", "Hello there"),
    "three letters, other case": ("Hel", "hello there", "Helhello there"),
    "three letters, with a space": ("Hel", " Hello there", "Hel Hello there"),
    "one word": ("Hello", "Hello there", "Hello there"),
    "one word and a space": ("Hello ", "Hello there", "Hello there"),
    "one word, then a comma": ("Hello", "Hello, there", "Hello, there"),
    "one word with a space before it": ("Hello", " Hello there", "Hello there"),
    "a word that begins like the first": ("In", " India we", "In India we"),
    "a sentence that begins like the first": ("No.", " Nothing else.", "No. Nothing else."),
    "words that begin like the first": ("I am. ", "I amuse", "I am. I amuse"),
    "a number that begins like the first": ("Room 5. ", "Room 512", "Room 5. Room 512"),
    "a number that was cut": ("Room 5", "Room 512", "Room 512"),
    "a number that was cut, with a space before it": ("Room 5", " Room 512", "Room 512"),
    "two words, the second cut, with a space before them": ("Good mor", " Good morning", "Good morning"),
    "a word that was cut and is there in whole too": ("I, i", " I, it's all right", "I, it's all right"),
    "letters that meet by chance": ("Grand Hôtel, ten o’c", "lock", "Grand Hôtel, ten o’clock"),
    "words with apostrophes": ("'Tis I, the king's", "king's men", "'Tis I, the king's men"),
    "a word that begins with an apostrophe": ("'Tis", "'Tis I", "'Tis I"),
    "digits alone": ("5", "555", "5555"),
    "emoji alone": ("😀", "😀 Hi", "😀😀 Hi"),
    "nothing but a space": (" ", " Hello", " Hello"),
    "nothing but a line": ("\n", "\nHello", "\nHello"),
    "nothing": ("", " Hello", " Hello"),
    # Chinese
    "one character, restarted": ("您", "您好，请问", "您好，请问"),
    "one character, said twice": ("请慢", "慢来", "请慢慢来"),
    "a word said twice": ("我们讨论", "讨论吧", "我们讨论讨论吧"),
    "four characters": ("欢迎您来到大酒店", "来到大酒店用餐", "欢迎您来到大酒店用餐"),
    "three characters": ("欢迎来到酒店", "到酒店用餐", "欢迎来到酒店到酒店用餐"),
    "laughter": ("真的哈哈哈哈", "哈哈哈哈", "真的哈哈哈哈哈哈哈哈"),
    "Chinese marks in a restart": ("您好，欢迎", "您好,欢迎光临", "您好，欢迎光临"),
    # spaces and marks at the seam
    "a doubled space": ("Good ", " morning", "Good morning"),
    "a space and a line": ("Good ", "\nMorning", "Good \nMorning"),
    "a paragraph": ("Good.\n", "\nMorning", "Good.\n\nMorning"),
    "a missing space after a sentence": ("Hello.", "How are you", "Hello. How are you"),
    "a missing space after a question": ("Shall I?", "just say so", "Shall I? just say so"),
    "a missing space after a comma": ("Hello,", "world", "Hello, world"),
    "no space after a line": ("Hello.\n", "How are you", "Hello.\nHow are you"),
    "a missing space after a quote": ("“Hello.”", "How are you", "“Hello.” How are you"),
    "no space in a name": ("Write to example.", "com", "Write to example.com"),
    "no space in an abbreviation": ("The U.", "S. economy", "The U.S. economy"),
    "no space in a number": ("It is 3.", "5 metres", "It is 3.5 metres"),
    "no space in an address": ("See https://a.b/c?", "q=1", "See https://a.b/c?q=1"),
    "no space in Chinese": ("Hello.", "你好", "Hello.你好"),
    "no guess between letters": ("the", "next", "thenext"),
    "another mark in the restart": ("Hello, my friend,", "Hello my friend. How", "Hello, my friend, How"),
    "a mark that the restart left out": ("Hello, my friend,", "Hello my friend how", "Hello, my friend, how"),
    "a quote that the restart left out": ('I say to you "', "I say to you yes", 'I say to you "yes'),
    "an emoji that the restart left out": ("Hello, my friend 😀", "Hello, my friend, how", "Hello, my friend 😀 how"),
    "another emoji in the restart": ("Hello, my friend 😀 ", "Hello, my friend 😊 how", "Hello, my friend 😀 how"),
    "the space that the restart has": ("Hello my friend.", "Hello my friend! How", "Hello my friend. How"),
    "an ellipsis that was cut": ("Well, let me see..", "Well, let me see... yes", "Well, let me see... yes"),
    "an accent that was cut": ("Un bon cafe", "Un bon cafe\u0301 noir", "Un bon cafe\u0301 noir"),
    "a family that was cut": ("Look, my kids 👩‍", "Look, my kids 👩‍👧!", "Look, my kids 👩‍👧!"),
    # the longest repetition counts
    "a text that says the same words twice": ("We can go. We can ", "We can go. We can stay", "We can go. We can stay"),
    "the end of such a text": ("As you see it and as you", "as you see it", "As you see it and as you see it"),
}  # fmt: skip


@pytest.mark.parametrize(("spoken", "heard", "expected"), JUDGED.values(), ids=JUDGED)
def test_judgement_calls(spoken, heard, expected):
    assert whole(spoken, [heard]) == expected
    assert whole(spoken, heard) == expected


PREFILLED = {
    "two words could be speech": ("I know, ", "I know, I do", "I know, I know, I do"),
    "three words are a repetition": ("I know you, ", "I know you, I do", "I know you, I do"),
    "a word that would be glued to what the provider saw": ("I am very ", "very good", "I am very good"),
    "a restart": ("Hello ", "Hello there", "Hello there"),
    "a restart after a mark": ("Hello, ", "Hello, there", "Hello, there"),
    "one Chinese character": ("谢", "谢您", "谢谢您"),
    "a Chinese word": ("您好", "您好，请问", "您好，请问"),
    "the space again": ("Good ", " morning", "Good morning"),
    "the space not again": ("Good ", "morning", "Good morning"),
    "the paragraph again": ("Good.\n\n", "\n\nMorning", "Good.\n\nMorning"),
    "a space for a paragraph": ("Good.\n\n", " Morning", "Good.\n\nMorning"),
}


@pytest.mark.parametrize(("spoken", "heard", "expected"), PREFILLED.values(), ids=PREFILLED)
def test_judgement_calls_after_a_prefill(spoken, heard, expected):
    prefilled = {"I know, ": "I said so. I know, ", "I know you, ": "I said so. I know you, "}.get(spoken, spoken)
    assert whole(prefilled, [heard], prefilled=True) == prefilled.removesuffix(spoken) + expected
    assert whole(prefilled, heard, prefilled=True) == prefilled.removesuffix(spoken) + expected


# Restarts in other words


def test_after_a_divergence_the_last_words_mark_the_seam():
    spoken = "I can help you with that. Let me look up your booking"
    heard = "I can help you with this. Let me look up your booking right now."
    assert whole(spoken, heard) == "I can help you with that. Let me look up your booking right now."


def test_without_a_seam_the_new_text_starts_with_the_diverging_sentence():
    spoken = "Your room is ready. It is on the third floor. Breakfast is from seven to"
    heard = (
        "Your room is ready. It is on the third floor. We serve breakfast from seven until ten o'clock in the lounge."
    )
    said = whole(spoken, heard)
    assert said == f"{spoken} We serve breakfast from seven until ten o'clock in the lounge."
    assert whole("您的房间已经准备好了。早餐七点", "您的房间已经准备好了。我们从七点供应早餐。").endswith(
        "早餐七点我们从七点供应早餐。"
    )


def test_a_sentence_that_begins_like_the_first_is_not_lost():
    spoken = "You can take the bus at nine. "
    assert whole(spoken, "You can take the train.") == f"{spoken}You can take the train."


def test_the_search_for_the_seam_is_limited():
    spoken = "I can help you with that. Let me look"
    splice = Splice(spoken, prefilled=False)
    heard = "I can help you with everything else that is on your mind, whenever you like, be it day or night."
    held = next(at for at, char in enumerate(heard) if splice.take(char))
    assert held < len("I can help you with ") + 2 * len("that. Let me look") + 24


def test_other_words_from_the_beginning_are_passed_on():
    spoken = "Certainly! Let me look that up"
    assert whole(spoken, " Of course, one moment.") == f"{spoken} Of course, one moment."


# The end of the stream


def test_a_restart_that_stops_before_the_cut_adds_nothing():
    assert whole("Good morning, how are you today", "Good morning, how") == "Good morning, how are you today"
    assert whole("Good morning, how are you", "Good morning, how are you") == "Good morning, how are you"
    assert whole("Good morning, ", "Good morning") == "Good morning, "


def test_a_last_word_that_was_spoken_before_is_not_lost():
    assert whole("You are welcome. Anything else? You are", " welcome.").endswith("You are welcome.")
    assert whole("Yes and no. But for you:", " yes") == "Yes and no. But for you: yes"


def test_silence_adds_nothing():
    assert whole("Good", []) == "Good"
    assert whole("Good ", " ") == "Good "


def test_a_suffix_longer_than_the_maximum_only_counts_if_it_is_the_whole_text():
    words = " ".join(f"word{chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(200))
    within = words[-MAX_SUFFIX - 200 :]
    assert whole(words, words + " end") == f"{words} end"
    assert whole(words, words[-MAX_SUFFIX:] + " end") == f"{words} end"
    assert whole(words, within + " end") == f"{words}{within} end"


# The request to go on

QUESTION = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]


def test_a_prefill_ends_the_messages_without_white_space():
    messages = continuation_messages(QUESTION, "Good morning, \n", prefill=True)
    assert messages == [*QUESTION, {"role": "assistant", "content": "Good morning,"}]


def test_without_prefill_a_user_message_asks_to_continue_from_the_last_words():
    *before, request = continuation_messages(QUESTION, "Good morning, how may I help ", prefill=False)
    assert before == [*QUESTION, {"role": "assistant", "content": "Good morning, how may I help "}]
    assert request["role"] == "user"
    assert request["content"].endswith("\n\nmay I help")


def test_the_last_words_are_enough_for_a_significant_repetition():
    for spoken in ("Good morning, how may I help", "欢迎您来到我们大酒店", "well no no no", "Please wait {here}"):
        asked = continuation_messages([], spoken, prefill=False)[-1]["content"].split("\n\n")[-1]
        assert spoken.endswith(asked)
        assert whole(spoken, f" {asked}, you see" if asked != spoken else f"{asked}, you see") == f"{spoken}, you see"


def test_a_chinese_answer_is_continued_in_chinese():
    assert "请" in continuation_messages(QUESTION, "早上好，", prefill=False)[-1]["content"]
    assert "answer" in continuation_messages(QUESTION, "今日はいい天気", prefill=False)[-1]["content"]


def test_after_blank_text_the_messages_stay_unchanged():
    for prefill in (True, False):
        assert continuation_messages(QUESTION, " \n", prefill=prefill) == QUESTION


def test_the_messages_given_are_not_changed():
    given_messages = list(QUESTION)
    continuation_messages(given_messages, "Good", prefill=True)
    assert given_messages == QUESTION
