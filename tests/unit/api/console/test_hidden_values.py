"""Secrets in models.yaml are hidden, and come back unchanged."""

from __future__ import annotations

import time

import pytest

from api.console.hidden_values import hide, restore

TEXT = """\
model_list:
  - model_name: flow
    litellm_params: {model: openai/x, api_key: SECRET-1, input_cost_per_token: 0.01}
  - model_name: block
    # api_key: SECRET-2
    litellm_params:
      model: openai/y
      api_key: "SECRET-3"   # mine
      max_tokens: 100
      vertex_credentials: |
        {"private": "SECRET-4",
         "b": 2}
      extra_headers:
        Authorization: Bearer SECRET-5
        x-api-key: 'SECRET-6'
      api_base: https://user:SECRET-7@host/v1
  - model_name: safe
    litellm_params: {model: openai/z, api_key: os.environ/KEY, litellm_credential_name: shared}
general_settings:
  master_key: SECRET-8
  database_url: "postgresql://u:SECRET-9@h/db"
litellm_settings: {drop_params: true}
"""


@pytest.mark.parametrize(
    "text", [TEXT, f"{TEXT}  : : [\n", TEXT.replace("\n", "\r\n")], ids=["valid", "broken", "crlf"]
)
def test_no_secret_is_shown_and_all_come_back(text: str) -> None:
    shown = hide(text)
    assert "SECRET" not in shown
    assert restore(shown, text) == text


def test_all_else_stays() -> None:
    shown = hide(TEXT)
    for kept in (
        "input_cost_per_token: 0.01",
        "max_tokens: 100",
        "os.environ/KEY",
        "credential_name: shared",
        "# mine",
    ):
        assert kept in shown
    assert 'api_key: "<hidden-3>"   # mine' in shown


def test_an_edited_text_gets_its_secrets_where_their_placeholders_are() -> None:
    shown = hide("a: {api_key: one}\nb: {api_key: two}\n")
    assert shown == 'a: {api_key: "<hidden-1>"}\nb: {api_key: "<hidden-2>"}\n'
    assert restore("b: {api_key: '<hidden-2>'}\na: <hidden-1>\n", "a: {api_key: one}\nb: {api_key: two}\n") == (
        "b: {api_key: two}\na: one\n"
    )
    assert restore('b: {api_key: "<hidden-2>"}\nc: "<hidden-7>"\n', "a: {api_key: one}\nb: {api_key: two}\n") == (
        'b: {api_key: two}\nc: "<hidden-7>"\n'
    )


def test_an_anchor_is_hidden_where_it_is_written() -> None:
    text = "a: &key SECRET\nb: {api_key: *key}\nc: {api_key: *key}\n"
    assert "SECRET" not in hide(text)
    assert restore(hide(text), text) == text


@pytest.mark.parametrize(
    "text",
    ["#" + "-" * 50_000, "[\n" + "a" * 50_000, "[\n# a: b" + " " * 50_000 + "x", "[\n" + "a-" * 30_000, "[" * 5_000],
)
def test_a_long_line_is_searched_in_a_moment(text: str) -> None:
    began = time.process_time()
    assert restore(hide(text), text) == text
    assert time.process_time() - began < 3
