from __future__ import annotations

import pytest

from config.profile.languages import ANY_LANGUAGE, is_language, nearest_language


@pytest.mark.parametrize(
    ("wanted", "available", "nearest"),
    [
        ("en", ["zh", "en"], "en"),
        ("zh-CN", ["en", "zh"], "zh"),
        ("zh-Hans-CN", ["zh", "zh-Hans"], "zh-Hans"),
        ("ZH_cn", ["en", "zh-CN"], "zh-CN"),
        ("en-GB", ["zh", "en-US", "en-AU"], "en-US"),
        ("zh", ["en", "zh-TW"], "zh-TW"),
        ("fr", ["zh", "en"], "zh"),
        ("e", ["zh", "en"], "zh"),
        ("", ["zh", "en"], "zh"),
        (ANY_LANGUAGE, ["zh", "en"], "zh"),
    ],
)
def test_the_nearest_language(wanted: str, available: list[str], nearest: str) -> None:
    assert nearest_language(wanted, available) == nearest


def test_the_form_of_a_language() -> None:
    assert all(map(is_language, ["en", "zh-CN", "zh-Hans-CN", "yue", ANY_LANGUAGE]))
    assert not any(map(is_language, ["", "e", "afer", "english", "en_US", "en-", "en-US\n", "de DE", "zh-中"]))
