"""A comparison for people: Markdown for a pull request, and a picture of the differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fx_assets.comparing.changes import Change
from fx_assets.comparing.verdict import Difference, Word
from fx_assets.evaluation.claim import Claim, percent, percent_within
from fx_assets.presentation.chart import BLUE, GREY, ORANGE, as_png

SIGNS = {"worse": "❌", "suspected": "❌", "better": "✅", "not comparable": "⚠️"}


@dataclass(frozen=True)
class Suspected:
    """Why a leak is likelier than skill."""

    figures: str
    """Those beyond what is plausible, each beside its limit; may be empty."""
    early: Sequence[str]
    """Columns whose values of old rows change when later bars come."""
    causes: Sequence[str]
    """What the probes say, the likeliest first."""

    @property
    def sentence(self) -> str:
        """For people."""
        told = [f"{self.figures}: too good to be true"] if self.figures else []
        if self.early:
            told.append(f"old values of {', '.join(self.early)} change when later bars come")
        return "; ".join(told)


@dataclass(frozen=True)
class Finding:
    """What a comparison found of one candidate.

    ``difference`` is missing where there is no recipe before to pair with; ``claim`` and
    ``claim_before`` say what each is worth beside the baseline and the reference.
    """

    change: Change
    difference: Difference | None = None
    word: Word | None = None
    claim: Claim | None = None
    claim_before: Claim | None = None
    suspected: Suspected | None = None
    accepted: bool = False
    """Whether a person has said that it may pass."""

    @property
    def name(self) -> str:
        return f"{self.change.forecast}/{self.change.candidate}"

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.suspected is not None:
            return "suspected"
        if self.word is not None:
            return self.word
        return "no change" if self.change.kind == "unchanged" else self.change.kind

    @property
    def blocks(self) -> bool:
        """Whether it holds the change up."""
        return self.verdict in ("worse", "suspected") and not self.accepted


def headline(findings: Sequence[Finding]) -> str:
    """The comparison in a sentence."""
    blocked = [found.name for found in findings if found.blocks]
    lost = [found.name for found in findings if found.verdict == "not comparable"]
    touched = [f for f in findings if f.change.kind not in ("unchanged", "gone")]
    if blocked:
        return f"Worse than before, or suspected of a leak: {_named(blocked)}."
    if lost:
        return f"Cannot be compared: {_named(lost)}."
    if not touched:
        return "No change: every candidate computes what it did."
    return f"Nothing is worse: {len(touched)} of {len(findings)} candidates changed."


def markdown(
    findings: Sequence[Finding],
    *,
    base: str,
    significance: float,
    tolerance: float,
    bars: str,
    picture: str = "",
) -> str:
    """The report.

    Parameters
    ----------
    base
        What is compared with, for people.
    bars
        What both sides were judged on, for people.
    picture
        Name of the file that :func:`figure` goes into; none where it is unset.
    """
    shown = [f for f in findings if f.change.kind != "unchanged"]
    lines = ["# What this change does to the forecasts", "", f"**{headline(findings)}**", ""]
    if shown:
        lines += [
            "| candidate | verdict | loss less by (95 %) | p worse | skill on baseline "
            "| skill on reference | rows |",
            "|---|---|---|---|---|---|---|",
            *(_row(found) for found in shown),
            "",
        ]
        if picture and any(found.difference for found in shown):
            lines += [f"![differences]({picture})", ""]
        lines += ["What changed:", "", *_what(shown), ""]
    suspected = [(found.name, found.suspected) for found in shown if found.suspected]
    if suspected:
        lines += ["A leak is likelier than skill:", ""]
        for name, why in suspected:
            lines += _suspicion(name, why)
        lines += [""]
    unchanged = len(findings) - len(shown)
    if unchanged:
        are = "candidate is" if unchanged == 1 else "candidates are"
        lines += [f"{unchanged} {'more ' if shown else ''}{are} unchanged.", ""]
    lines += [
        f"Beside {base}, on identical out-of-sample rows; {bars}. *Worse* is a loss larger by more "
        f"than {100 * tolerance:g} % with a one-sided Diebold–Mariano p below {significance:g} "
        "(Holm, over all changed recipes). *Better* is never asked for: the promotion rule decides "
        "that on the data to come.",
    ]
    return "\n".join(lines) + "\n"


def figure(findings: Sequence[Finding]) -> bytes | None:
    """Each paired difference with its interval, as a PNG file; ``None`` without any."""
    from matplotlib.figure import Figure

    drawn = [(f, f.difference) for f in findings if f.difference and not f.difference.same]
    if not drawn:
        return None
    canvas = Figure(figsize=(8.0, 1.2 + 0.35 * len(drawn)), layout="constrained")
    axes = canvas.subplots()
    for k, (found, paired) in enumerate(reversed(drawn)):
        gain, low, high = (100 * v for v in (paired.gain, paired.lower, paired.upper))
        colour = ORANGE if found.word == "worse" else BLUE if found.word == "better" else GREY
        axes.errorbar(gain, k, xerr=[[gain - low], [high - gain]], fmt="o", color=colour, capsize=3)
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(drawn)), [found.name for found, _ in reversed(drawn)])
    axes.set_ylim(-0.7, len(drawn) - 0.3)
    axes.set_xlabel("loss less than before, % (95 % interval); right of the line is better")
    return as_png(canvas)


def _row(found: Finding) -> str:
    verdict = found.verdict
    sign = SIGNS.get(verdict, "")
    said = f"{sign} {verdict}".strip() + (" (accepted)" if found.accepted else "")
    paired = found.difference
    cells = [
        f"`{found.name}`",
        said,
        "" if paired is None else percent_within(paired.gain, paired.lower, paired.upper),
        "" if paired is None or paired.same else f"{paired.worse_p:.2g}",
        _skills(found, "baseline"),
        _skills(found, "reference"),
        f"{paired.rows:,}" if paired else "" if found.claim is None else f"{found.claim.rows:,}",
    ]
    return f"| {' | '.join(cells)} |"


def _skills(found: Finding, side: str) -> str:
    """The skill beside a benchmark, before and after."""
    told = []
    for claim in (found.claim_before, found.claim):
        if claim is not None:
            skill = getattr(claim, side).skill
            told.append("–" if skill is None else percent(skill))
    return " → ".join(told)


def _named(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _what(findings: Sequence[Finding]) -> list[str]:
    """A line for each change, with the candidates that it reaches."""
    reached: dict[str, list[str]] = {}
    for found in findings:
        plain = {"new": "It is new", "gone": "It is gone"}.get(found.change.kind, "Nothing")
        what = "; ".join(found.change.what) or plain
        reached.setdefault(what, []).append(found.name)
    return [f"- {what}: {_named(names, 5)}" for what, names in reached.items()]


def _suspicion(name: str, suspected: Suspected) -> list[str]:
    causes = [f"  {k}. {cause}" for k, cause in enumerate(suspected.causes, start=1)]
    return [f"- `{name}`: {suspected.sentence}.", *causes]
