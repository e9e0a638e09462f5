"""The errors a person meets: what went wrong, where, the offending value, what to do."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"://(?:[^\s/@:]*:(?!\d+/)\S*|[^\s/@]+)@")


def without_logins(text: str, shown: str = "***@") -> str:
    """A text in which no URL names a user or a password; ``shown`` stands in their place."""
    return _LOGIN.sub(f"://{shown}", text)


def one_line(text: object, most: int = 300) -> str:
    """A text on one line, cut where it is longer."""
    said = " ".join(str(text).split())
    return said if len(said) <= most else f"{said[:most]}..."


class FxAssetsError(Exception):
    """Base of every error that this platform raises on purpose.

    The message states what was expected and what was found; ``remedy`` says what to do about it.
    Neither shows the user or the password of a URL that it names.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        message, remedy = without_logins(message), without_logins(remedy)
        super().__init__(f"{message}\n  What to do: {remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


class SpecError(FxAssetsError):
    """A declared feed, forecast or setting does not make sense."""


class SourceError(FxAssetsError):
    """A provider could not be reached, or answered with something that is not its data."""


class GateError(FxAssetsError):
    """The quality gate refused the bars; the tables are as they were."""


class LakeError(FxAssetsError):
    """A table could not be read or committed."""


class NotEnoughDataError(FxAssetsError):
    """There are too few rows for what was asked."""


class NoChampionError(FxAssetsError):
    """No champion existed whose training labels were all known by the decision time."""


class LostChampionError(NoChampionError):
    """The champion of a moment is known, but its bundle is damaged and no copy of it is left."""


class RegistryError(FxAssetsError):
    """A model could not be logged, registered, published or loaded."""


class SignatureError(RegistryError):
    """What should be signed is not, or is not what was signed."""
