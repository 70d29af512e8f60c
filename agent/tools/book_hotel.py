"""Simulates a hotel booking, for trying out agents and reviews. It has no side effects."""

from __future__ import annotations

from langchain_core.tools import tool


@tool
async def book_hotel(hotel_name: str) -> str:
    """Book a room at the named hotel."""
    return f"Booked a room at {hotel_name}."
