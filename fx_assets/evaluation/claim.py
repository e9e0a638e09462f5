"""What may be said of a candidate's skill: against the baseline, and against what costs no work.

To beat an average of all of history is no feat where one line of exponential smoothing does. So
every kind of target names a reference beside its baseline
(:meth:`~fx_assets.targets.base.TargetDefinition.reference`), and a claim is one about both:

- *demonstrated*: against each of the two, the candidate knows something that the benchmark does
  not (Clark and West), this has made its forecasts better (Diebold and Mariano), and the 95 %
  interval of its skill lies above zero. All of it has to hold, so the p-value of the claim is the
  largest (an intersection-union test; Berger, 1982). It has to lie below the significance divided
  by the number of recipes that were ever tried on the series; of a member of a universe below what
  Holm's correction for all claims of the universe leaves.
- *knows something*: Clark and West's test alone holds against both. Its forecasts are not shown to
  be better: the noise of its parameters may cost as much as it knows.
- *not demonstrated*: anything less.
"""

from __future__ import annotations

from typing import Literal

from fx_assets.plural import sentence_case
from fx_assets.specs.base import Record

ClaimWord = Literal["demonstrated", "knows something", "not demonstrated"]


def percent(share: float) -> str:
    """A share with its sign, in per cent."""
    return f"{100 * share:+.2f} %"


def percent_within(share: float, lower: float, upper: float) -> str:
    """The same with its interval, such as ``+2.10 % (+0.40 to +3.80)``."""
    return f"{percent(share)} ({100 * lower:+.2f} to {100 * upper:+.2f})"


class Comparison(Record):
    """A candidate beside a benchmark on identical out-of-sample rows.

    Without figures the candidate is the benchmark, or there are fewer than 30 rows.
    """

    benchmark: str
    """What it is called."""
    loss: float
    """Mean proper score of the benchmark."""
    skill: float | None = None
    """1 - loss of the candidate / loss of the benchmark."""
    lower: float | None = None
    upper: float | None = None
    """Of its 95 % block-bootstrap interval."""
    clark_west_p: float | None = None
    diebold_mariano_p: float | None = None
    """One-sided p-values."""

    @property
    def text(self) -> str:
        """Skill with its interval, such as ``+2.10 % (+0.40 to +3.80) against zero``."""
        if self.skill is None or self.lower is None or self.upper is None:
            return f"no figure against {self.benchmark}"
        return f"{percent_within(self.skill, self.lower, self.upper)} against {self.benchmark}"

    def knows(self, needed: float) -> bool:
        """Whether Clark and West's test holds."""
        return self.clark_west_p is not None and self.clark_west_p < needed

    def beats(self, needed: float) -> bool:
        """Whether both tests hold, and the interval lies above zero."""
        better = self.diebold_mariano_p is not None and self.diebold_mariano_p < needed
        return self.knows(needed) and better and self.lower is not None and self.lower > 0


class Claim(Record):
    """What may be said of a candidate's skill."""

    word: ClaimWord
    rows: int
    needed_p: float
    """What the p-values have to lie below: the significance divided by ``tried``, or Holm's."""
    tried: int
    """Recipes tried on the series so far, a tuned one once for each setting; of a universe all its
    tests."""
    baseline: Comparison
    reference: Comparison
    """The baseline again where the kind of target has no other reference."""

    @property
    def benchmarks(self) -> tuple[Comparison, ...]:
        """The baseline, and the reference where it is another."""
        same = self.reference.benchmark == self.baseline.benchmark
        return (self.baseline,) if same else (self.baseline, self.reference)

    @property
    def missed(self) -> str:
        """The benchmarks that it is not shown to be better than."""
        shown = [found for found in self.benchmarks if found.skill is not None]
        return " or ".join(found.benchmark for found in shown if not found.beats(self.needed_p))

    @property
    def sentence(self) -> str:
        """For people, with the figures."""
        shown = [found for found in self.benchmarks if found.skill is not None]
        figures = "; ".join(found.text for found in shown)
        tail = f": skill {figures}, on {self.rows:,} rows." if figures else "."
        if self.word == "demonstrated":
            return f"Better than {' and than '.join(f.benchmark for f in shown)}{tail}"
        own = ""
        if self.baseline.skill is None:
            own = "It is the baseline, which claims no skill"
        elif self.reference.skill is None:
            own = f"It is {self.reference.benchmark} itself"
        if not self.missed:
            return f"{own}{tail}"
        not_shown = f"not shown to be better than {self.missed}{tail}"
        if self.word == "knows something":
            return f"Its forecasts are {not_shown}"
        return f"{own}, and is {not_shown}" if own else sentence_case(not_shown)
