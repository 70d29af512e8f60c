from hypothesis import given
from hypothesis import strategies as st

from router.fake.sample_text import ANSWER, WORDS, WORDS_BEFORE_CUT, count_pieces, pieces_of, sample_pieces


def test_the_answer_is_sixty_words_in_thirty_two_pieces():
    assert len(ANSWER.split()) == WORDS == 60
    assert len(sample_pieces()) == 32
    assert "".join(sample_pieces()) == ANSWER


def test_the_cut_falls_between_two_pieces():
    words_so_far = [len("".join(sample_pieces()[:end]).split()) for end in range(33)]
    assert WORDS_BEFORE_CUT in words_so_far


def test_any_number_of_tokens_can_be_asked_for():
    assert [len(sample_pieces(tokens)) for tokens in (1, 60, 64, 1000)] == [1, 60, 64, 1000]
    assert "".join(sample_pieces(60)) == ANSWER
    assert "".join(sample_pieces(62)) == ANSWER + " Good morning"


def test_chinese_is_split_into_characters_and_english_into_words():
    assert pieces_of("Hi there, 你好 ok") == ["Hi", " there,", " 你", "好", " ok"]


@given(st.text())
def test_pieces_add_up_to_the_text(text):
    assert "".join(pieces_of(text)) == text
    assert count_pieces(text) == len(pieces_of(text))
