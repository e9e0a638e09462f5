"""What files do not tell: collected while they are read, and asked all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fx_assets.errors import SourceError


@dataclass(frozen=True)
class Option:
    """One answer to a question.

    Parameters
    ----------
    settings
        What it sets in the feed, by dotted name, such as ``{"source.timezone": "UTC"}``; ``None``
        removes a setting.
    evidence
        What in the data speaks for or against it; empty where nothing does.
    """

    settings: Mapping[str, Any]
    evidence: str = ""

    def __str__(self) -> str:
        said = ", ".join(
            f"no {name}" if value is None else f"{name}: {_yaml(value)}"
            for name, value in self.settings.items()
        )
        return f"{said} ({self.evidence})" if self.evidence else said


@dataclass(frozen=True)
class Question:
    """Something that must be said about the files.

    Parameters
    ----------
    setting
        The setting that answers it, such as ``source.timezone``.
    message
        What cannot be known, with the file, the line and what stands there.
    remedy
        What to do, for a person.
    options
        Answers that fit the data, the likeliest first; empty where only a person knows them.
    """

    setting: str
    message: str
    remedy: str
    options: tuple[Option, ...] = ()


class FilesUnclear(SourceError):  # noqa: N818
    """Files that leave questions open; ``questions`` has all of them."""

    def __init__(self, questions: tuple[Question, ...], problem: SourceError | None = None) -> None:
        self.questions, self.problem = questions, problem
        told = [(q.message, q.remedy) for q in questions]
        if problem is not None:
            told.insert(0, (problem.message, problem.remedy))
        if len(told) == 1:
            super().__init__(told[0][0], remedy=told[0][1])
            return
        super().__init__(
            f"{len(told)} things must be said about the files:\n"
            + "\n".join(f"  {i}. {message}" for i, (message, _) in enumerate(told, 1)),
            remedy="\n" + "\n".join(f"  {i}. {remedy}" for i, (_, remedy) in enumerate(told, 1)),
        )

    def __reduce__(self) -> tuple[type[FilesUnclear], tuple[Any, ...]]:
        return FilesUnclear, (self.questions, self.problem)


@dataclass
class Asked:
    """The questions so far; of several about one setting the first counts."""

    questions: list[Question] = field(default_factory=list)

    def ask(
        self, setting: str, message: str, remedy: str, options: tuple[Option, ...] = ()
    ) -> None:
        """Note a question; reading goes on with a provisional answer."""
        if setting not in self:
            self.questions.append(Question(setting, message, remedy, options))

    def __contains__(self, setting: object) -> bool:
        return any(question.setting == setting for question in self.questions)

    def raise_if_any(self, problem: SourceError | None = None) -> None:
        """Raise what is open, together with a problem that ended the reading.

        Raises
        ------
        FilesUnclear
            There are questions.
        SourceError
            There is only the problem.
        """
        if self.questions:
            raise FilesUnclear(tuple(self.questions), problem) from problem
        if problem is not None:
            raise problem


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_yaml(v)}" for k, v in value.items()) + "}"
    text = str(value)
    return f'"{text}"' if isinstance(value, str) and text[:1] in ",.; '#&*!|>%@`[{" else text
