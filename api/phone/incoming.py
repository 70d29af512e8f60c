"""`/phone/incoming`, `/phone/relay/action`: a carrier asks what to do with a call that comes, or whose relay ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import orjson
import structlog
from fastapi import APIRouter, Request, Response

from agent.calls.details import user_of
from agent.calls.hand_off import hand_offs_of
from agent.sessions.service import SessionService
from agent.tools.phone_lines import allowed_number
from agent.tools.transfer_call import TRANSFER_TOOLS, call_control
from agent.turns import TurnService
from api.http.body import read_bytes
from api.http.caller_scope import stored_user
from api.http.ids import is_valid_id
from api.phone.access import caller_of
from api.phone.signatures import TELNYX, Carriers, form_fields
from api.phone.twiml import RelayAddresses, begin_relay, begin_telnyx_relay, dial, hang_up
from config.profile.phone import NumberProfile, PhoneSettings

log = structlog.get_logger(__name__)

MAX_FORM: Final = 64 * 1024

MAX_REJOINS: Final = 5
"""How often in a row a connection that broke off is made anew."""

STEADY: Final = 30
"""Seconds after which a connection counts as one that works."""

_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
    }
}

routes = APIRouter(prefix="/phone", tags=["phone"])


@routes.post("/incoming", summary="A call comes: connect it to the relay", openapi_extra=_FORM)
async def incoming(request: Request) -> Response:
    """Answers TwiML, for Twilio and Telnyx. The number that was called chooses greeting, voice and agent."""
    call = await _call(request)
    return _xml(_relay(request, call, greets=True))


@routes.post("/relay/action", summary="The relay has ended: dial, hang up or connect again", openapi_extra=_FORM)
async def relay_action(request: Request) -> Response:
    """Answers TwiML. A transfer is dialled only to a number of `transfer_destinations`."""
    call = await _call(request)
    number, ends = await _handed_off(request, call)
    if number is not None:
        return _xml(dial(number))
    if ends or not call.broke_off:
        return _xml(hang_up())
    rejoins = 0 if call.seconds >= STEADY else _whole(request.query_params.get("rejoins", "")) + 1
    log.warning("phone_relay_broke_off", reason=call.error_code, rejoins=rejoins)
    if rejoins > MAX_REJOINS:
        return _xml(hang_up(call.settings.error.in_language(call.profile.language), call.profile.language))
    return _xml(_relay(request, call, greets=False, rejoins=rejoins))


@dataclass(frozen=True, slots=True)
class _Call:
    """What a carrier's form says of a call. `data` is the `handoffData` of the relay's end."""

    fields: Mapping[str, str]
    data: Mapping[str, Any]
    settings: PhoneSettings
    profile: NumberProfile

    @property
    def is_outbound(self) -> bool:
        return self.fields.get("Direction", "").startswith("outbound")

    @property
    def id(self) -> str:
        return self.fields.get("CallSid", "")

    @property
    def party(self) -> str:
        """The other party's number."""
        return self.fields.get("To" if self.is_outbound else "From", "")

    @property
    def broke_off(self) -> bool:
        """Whether the connection ended without a wish of this server, and the caller is still there."""
        if self.fields.get("CallStatus") in ("completed", "canceled", "failed", "busy", "no-answer") or self.data:
            return False
        return self.fields.get("SessionStatus", "failed") == "failed" or bool(self.error_code)

    @property
    def error_code(self) -> str | None:
        code = self.fields.get("ErrorCode", "")
        return code if code.isalnum() else None

    @property
    def seconds(self) -> int:
        return _whole(self.fields.get("SessionDuration", ""))


async def _call(request: Request) -> _Call:
    """The call that the form is about. Raises as `caller_of` does."""
    body = await read_bytes(request, MAX_FORM)
    caller_of(request, body)
    turns: TurnService = request.state.turns
    fields, settings = dict(form_fields(body)), turns.profile.phone
    line = fields.get("From" if fields.get("Direction", "").startswith("outbound") else "To", "")
    return _Call(fields, _json(fields.get("HandoffData", "")), settings, settings.profile_of(line))


async def _handed_off(request: Request, call: _Call) -> tuple[str | None, bool]:
    """The number that the agent transferred the call to, as the allow-list has it now; and whether the call ends.

    The form comes from outside: a number that is only in it is dialled if the agent could have chosen it.
    """
    turns: TurnService = request.state.turns
    sessions: SessionService = request.state.sessions
    asked: list[Any] = []
    ends = call.data.get("reason") == "hang_up"
    if call.data.get("reason") == "transfer":
        asked.append(call.data.get("destination"))
    elif not call.data and is_valid_id(call.id):  # a carrier that does not return the data
        record = await sessions.find(stored_user(request, user_of(call.party, call.id)), call.id)
        for each in hand_offs_of(record.last_response) if record and record.last_response else ():
            ends = ends or call_control(each.name) == "end"
            asked.append(each.arguments.get(TRANSFER_TOOLS.get(each.name, "")))
    numbers = (allowed_number(each, turns.profile.transfer_destinations) for each in asked)
    return next((each for each in numbers if each is not None), None), ends


def _relay(request: Request, call: _Call, *, greets: bool, rejoins: int = 0) -> bytes:
    carriers: Carriers = request.state.carriers
    address = carriers.address(request)
    action = f"{address}/phone/relay/action" + (f"?{urlencode({'rejoins': rejoins})}" if rejoins else "")
    relay = f"ws{address.removeprefix('http')}/phone/relay"
    if request.state.carrier == TELNYX and carriers.tickets is not None:
        addresses = RelayAddresses(f"{relay}/{carriers.tickets.issue()}", action)
        return begin_telnyx_relay(addresses, call.settings, call.profile, greets=greets)
    return begin_relay(RelayAddresses(relay, action), call.settings, call.profile, greets=greets)


def _json(text: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _xml(document: bytes) -> Response:
    return Response(document, media_type="application/xml")
