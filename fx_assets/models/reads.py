"""What a candidate reads of each row: the inputs of one model, or of several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.models.base import FloatArray, InputSpec, input_matrix

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Reads:
    """Inputs that stand side by side in a matrix, each once."""

    parts: tuple[InputSpec, ...]

    @classmethod
    def of(cls, wanted: Iterable[InputSpec]) -> Reads:
        """What models read, whatever several of them read once."""
        return cls(tuple(dict.fromkeys(wanted)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a frame that are read."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.columns))

    @property
    def window(self) -> int:
        """Rows that the window of the only part reaches over; 0 without, and of several parts."""
        return self.parts[0].window if len(self.parts) == 1 else 0

    @property
    def reach(self) -> int:
        """Rows that it takes to read one."""
        return max(1, *(part.window for part in self.parts))

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each column of the matrix, in order."""
        return tuple(name for part in self.parts for name in part.names)

    @property
    def stored(self) -> tuple[tuple[tuple[str, ...], int], ...]:
        """Columns and window of each part; empty where there is one."""
        return tuple((p.columns, p.window) for p in self.parts) if len(self.parts) > 1 else ()

    def places(self, wanted: Sequence[InputSpec]) -> list[tuple[int, int]]:
        """Of each model's inputs the first column, and the one after the last."""
        starts, at = {}, 0
        for part in self.parts:
            starts[part] = at
            at += part.width
        return [(starts[part], starts[part] + part.width) for part in wanted]

    def matrix(self, frame: Mapping[str, ArrayLike] | pd.DataFrame) -> FloatArray:
        """The (n, p) inputs of a frame's rows; of one part a view where that is enough."""
        found = [input_matrix(frame, part) for part in self.parts]
        return found[0] if len(found) == 1 else np.column_stack(found)
