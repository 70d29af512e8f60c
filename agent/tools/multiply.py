"""Exact multiplication: models guess."""

from __future__ import annotations

from langchain_core.tools import tool


@tool
async def multiply(a: float, b: float) -> str:
    """Multiply two numbers exactly."""
    product = a * b
    return str(int(product)) if product.is_integer() else str(product)
