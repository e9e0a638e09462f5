"""What the heterogeneous autoregressions share: mean squared returns over three spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import numpy as np
from pydantic import ConfigDict, Field, PositiveInt, ValidationInfo, field_validator

from fx_assets.models._window import LENGTH, RETURN_COLUMN, squares, squares_graph
from fx_assets.models.base import FloatArray, Model, Params, Window

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph


class SpanParams(Params):
    model_config = ConfigDict(validate_default=True)

    short: PositiveInt = 1
    """Bars of the shortest span, at least 1: a day of daily bars, an hour of hourly ones."""
    medium: PositiveInt = 5
    """Bars of the middle span, above ``short``: a week of daily bars; 24, a day, of hourly ones."""
    long: Annotated[int, Field(ge=1, le=LENGTH)] = 22
    """Bars of the longest span, above ``medium`` and at most 500: a month of daily bars; 168, a
    week, of hourly ones."""

    @field_validator("medium", "long")
    @classmethod
    def _ascending(cls, value: int, info: ValidationInfo) -> int:
        before = "short" if info.field_name == "medium" else "medium"
        if value <= info.data.get(before, 0):
            raise ValueError(f"must be above {before}, which is {info.data[before]}")
        return value


S = TypeVar("S", bound=SpanParams)


class SpanMeans(Model[S]):
    """Regressors are the mean squared returns of the last short, medium and long span.

    Attributes
    ----------
    fill_
        Variance that stands for a return that is not known (NaN).
    coef_, intercept_
        (3,) slopes of the spans, the shortest first, and the constant, by least squares.
    """

    inputs = Window(RETURN_COLUMN, LENGTH)
    fill_: float
    coef_: FloatArray
    intercept_: float

    @property
    def spans(self) -> tuple[int, int, int]:
        """Bars of each span."""
        return self.settings.short, self.settings.medium, self.settings.long

    def _regress(self, regressors: FloatArray, y: FloatArray) -> FloatArray:
        """Learn the coefficients and return the fitted values."""
        constant = np.ones(len(y))
        solution = np.linalg.lstsq(np.column_stack([constant, regressors]), y, rcond=None)[0]
        self.intercept_, self.coef_ = float(solution[0]), np.asarray(solution[1:], np.float64)
        fitted: FloatArray = regressors @ self.coef_ + self.intercept_
        return fitted

    def _means(self, X: FloatArray) -> FloatArray:
        squared = squares(X[:, -max(self.spans) :], self.fill_)
        return np.column_stack([squared[:, -span:].mean(axis=1) for span in self.spans])

    def _means_graph(self) -> Graph:
        averages = np.zeros((LENGTH, len(self.spans)))
        for column, span in enumerate(self.spans):
            averages[-span:, column] = 1 / span
        return squares_graph(LENGTH, self.fill_).then("MatMul", averages)
