"""Book a hotel room (simulated): the tool to try agents, and later reviews, with. It has no effect outside the
answer.
"""

from __future__ import annotations

from langchain_core.tools import tool


@tool
async def book_hotel(hotel_name: str) -> str:
    """Book a room at the named hotel."""
    return f"Booked a room at {hotel_name}."
