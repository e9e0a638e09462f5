"""Shapes and distributions are what their names say, with and without SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import trapezoid

from fx_assets.evaluation.distribution import Distribution, Shape, empirical, parametric

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
SAMPLE = np.random.default_rng(3).standard_t(5, size=4000)


def shapes() -> dict[str, Shape]:
    few = SAMPLE[:30]
    return {
        "student": parametric(LEVELS, 6.0),
        "normal": parametric(LEVELS),
        "many": empirical(SAMPLE, LEVELS),
        "few": empirical(few, LEVELS),
        "ties": empirical(np.round(SAMPLE), LEVELS),
    }


SHAPES = shapes()
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


@every_shape
def test_quantiles_never_cross_and_invert_the_distribution_function(shape: Shape) -> None:
    levels = np.linspace(0.001, 0.999, 400)
    values = shape.quantile(levels)
    assert (np.diff(values) >= 0).all()
    back = np.array([float(shape.cdf(value)) for value in values])
    rising = np.r_[True, np.diff(values) > 0] & np.r_[np.diff(values) > 0, True]
    np.testing.assert_allclose(back[rising], levels[rising], atol=1e-9)


@pytest.mark.parametrize("name", ["student", "normal", "many", "few"])
@pytest.mark.parametrize("multiplicative", [False, True])
def test_crps_is_the_integral_of_the_squared_distance_of_distribution_functions(
    name: str, multiplicative: bool
) -> None:
    shape = SHAPES[name]
    came = np.array([-2.0, -0.2, 0.0, 0.7, 1.5])
    if multiplicative:
        shape = empirical(0.4 * SAMPLE, LEVELS) if name == "many" else parametric(LEVELS)
        grid = np.linspace(1e-9, 400, 2_000_001)
        mass = shape.cdf(np.log(grid))
        marks = np.exp(came)
    else:
        grid = np.linspace(-80, 80, 2_000_001)
        mass, marks = shape.cdf(grid), came
    found = shape.crps(came, multiplicative=multiplicative)
    for mark, value in zip(marks, found, strict=True):
        truth = trapezoid((mass - (grid >= mark)) ** 2, grid)
        assert value == pytest.approx(truth, rel=3e-3, abs=1e-4)


@every_shape
def test_the_density_is_the_slope_of_the_distribution_function(shape: Shape) -> None:
    if shape is SHAPES["ties"]:
        pytest.skip("it has no density")
    grid = np.linspace(-60, 60, 600_001)
    density = np.exp(shape.log_density(grid))
    assert trapezoid(density, grid) == pytest.approx(1, abs=1e-3)
    between = (grid > -1) & (grid < 1.3)
    mass = float(shape.cdf(1.3)) - float(shape.cdf(-1.0))
    assert trapezoid(density[between], grid[between]) == pytest.approx(mass, abs=1e-3)


@given(
    dof=st.floats(2.2, 150),
    centre=st.floats(-1, 1),
    spread=st.floats(1e-4, 10),
    value=st.floats(-20, 20),
)
def test_probabilities_need_no_scipy_and_agree_with_it(
    dof: float, centre: float, spread: float, value: float
) -> None:
    made = Distribution(shape=parametric(LEVELS, dof), centre=centre, spread=spread)
    unit = spread * np.sqrt((dof - 2) / dof)
    truth = stats.t(dof, centre, unit).cdf(value)
    assert made.below(value) == pytest.approx(truth, abs=1e-12)
    assert made.quantiles(LEVELS) == pytest.approx(stats.t(dof, centre, unit).ppf(LEVELS))


def test_a_size_is_never_below_zero() -> None:
    made = Distribution(shape=SHAPES["many"], centre=1e-4, multiplicative=True)
    assert min(made.quantiles(LEVELS)) > 0
    assert made.below(0.0) == made.below(-1.0) == 0.0
    assert made.below(made.quantile(0.3)) == pytest.approx(0.3)
    assert np.isfinite(made.scores(0.0)).all()


def test_a_distribution_survives_its_json() -> None:
    for shape in SHAPES.values():
        made = Distribution(shape=shape, centre=0.1, spread=0.3)
        again = Distribution.model_validate_json(made.model_dump_json())
        assert again == made
        assert again.quantiles(LEVELS) == made.quantiles(LEVELS)
