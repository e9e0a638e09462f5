"""Numbers of things, as people say them."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number and the noun, such as ``1 batch`` or ``2,000 batches``."""
    many = plural or (f"{noun}es" if noun.endswith(("ch", "s")) else f"{noun}s")
    return f"{number:,} {noun if number == 1 else many}"
