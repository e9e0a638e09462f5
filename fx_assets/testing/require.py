"""How a check of a contract fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fx_assets.errors import FxAssetsError

Floats = NDArray[np.float64]
Case = TypeVar("Case")


class Checks(list[Callable[[Case], None]]):
    """Checks in the order in which they are run; a check's name is what it states."""

    def add(self, check: Callable[[Case], None]) -> Callable[[Case], None]:
        """Decorates a check."""
        self.append(check)
        return check


class ContractError(AssertionError):
    """A plug-in does not keep its contract; the message says what was found."""


def require(condition: bool | np.bool_, found: str) -> None:
    """Raise a :class:`ContractError` that says what was found, unless the condition holds."""
    if not condition:
        raise ContractError(found)


def require_same_bits(
    expected: NDArray[np.float64], found: NDArray[np.float64], where: str
) -> None:
    """Two arrays of numbers agree to the last bit, all NaN being alike.

    Parameters
    ----------
    where
        Ends the sentence "row i is a, but b ...".
    """
    require(expected.shape == found.shape, f"{found.shape} numbers {where}, not {expected.shape}")
    same = (expected == found) | (np.isnan(expected) & np.isnan(found))
    if not same.all():
        row = np.unravel_index(int(np.argmin(same)), same.shape)
        place = ", ".join(map(str, row))
        raise ContractError(f"number {place} is {expected[row]}, but {found[row]} {where}")


def require_refused(call: Callable[[], object], said: str, what: str) -> FxAssetsError:
    """A call raises an error of ours whose text contains ``said``."""
    try:
        call()
    except FxAssetsError as error:
        require(said in str(error), f"{what} is refused without saying {said!r}: {error}")
        return error
    raise ContractError(f"{what} is accepted")
