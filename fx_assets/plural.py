"""Numbers of things, as people say them, and the beginnings of sentences."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number and the noun, such as ``1 batch`` or ``2,000 batches``."""
    many = plural or (f"{noun}es" if noun.endswith(("ch", "s")) else f"{noun}s")
    return f"{number:,} {noun if number == 1 else many}"


def sentence_case(text: str) -> str:
    """The text with its first letter as a sentence begins, and the others as they are."""
    return text[:1].upper() + text[1:]
