"""TwiML: what Twilio does with a call next. Telnyx reads the same, which it calls TeXML, with fewer attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from config.profile.phone import NumberProfile, PhoneSettings, Voice

DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>'


@dataclass(frozen=True, slots=True)
class RelayAddresses:
    """Where the carrier connects to, and what it asks when the connection has ended."""

    relay: str
    action: str


def begin_relay(addresses: RelayAddresses, settings: PhoneSettings, profile: NumberProfile, *, greets: bool) -> bytes:
    """Twilio: connect the call to the relay."""
    attributes = {
        **_common(settings, profile, greets=greets),
        **_voice(profile.voice),
        "hints": ",".join(profile.hints) or None,
        "preemptible": "true" if settings.preemptible else None,
        "applicationReconnect": "true",
    }
    return _connect(addresses, attributes, profile.languages)


def begin_telnyx_relay(
    addresses: RelayAddresses, settings: PhoneSettings, profile: NumberProfile, *, greets: bool
) -> bytes:
    """Telnyx: connect the call to the relay. The attributes of its relay are fewer, those of its languages are not."""
    attributes = {
        **_common(settings, profile, greets=greets),
        "voice": profile.voice.voice,
        "transcriptionProvider": profile.voice.transcription_provider,
    }
    return _connect(addresses, attributes, {profile.language: profile.voice, **profile.languages})


def dial(number: str) -> bytes:
    """Connect the caller to a number or a sip: address."""
    response = Element("Response")
    dialled = SubElement(response, "Dial")
    if number.startswith(("sip:", "sips:")):
        SubElement(dialled, "Sip").text = number
    else:
        dialled.text = number
    return _document(response)


def hang_up(sentence: str | None = None, language: str | None = None) -> bytes:
    """End the call, after `sentence`."""
    response = Element("Response")
    if sentence:
        SubElement(response, "Say", {"language": language} if language else {}).text = sentence
    SubElement(response, "Hangup")
    return _document(response)


def _common(settings: PhoneSettings, profile: NumberProfile, *, greets: bool) -> Mapping[str, str | None]:
    greeting = profile.greeting.in_language(profile.language) if profile.greeting and greets else None
    return {
        "welcomeGreeting": greeting,
        "welcomeGreetingInterruptible": settings.interruptible if greeting else None,
        "language": profile.language,
        "interruptible": settings.interruptible,
        "dtmfDetection": "true",
    }


def _voice(voice: Voice) -> Mapping[str, str | None]:
    return {
        "voice": voice.voice,
        "ttsProvider": voice.tts_provider,
        "transcriptionProvider": voice.transcription_provider,
        "speechModel": voice.speech_model,
    }


def _connect(addresses: RelayAddresses, attributes: Mapping[str, str | None], languages: Mapping[str, Voice]) -> bytes:
    response = Element("Response")
    connect = SubElement(response, "Connect", {"action": addresses.action})
    relay = SubElement(connect, "ConversationRelay", {"url": addresses.relay, **_given(attributes)})
    for tag, voice in languages.items():
        SubElement(relay, "Language", _given({"code": tag, **_voice(voice)}))
    return _document(response)


def _given(attributes: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if value is not None}


def _document(response: Element) -> bytes:
    document: bytes = tostring(response, encoding="utf-8")
    return DECLARATION + document
