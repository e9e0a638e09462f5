"""The server's answers as Python values, and its refusals as errors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import TracebackType
from typing import Any, Self

import httpx

PAGE = 10_000
SECONDS = 30.0


class Refused(Exception):  # noqa: N818
    """The server answered with a problem document.

    Attributes
    ----------
    status
        The HTTP status.
    kind
        Stable name of the problem.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.kind = str(problem.get("type", ""))
        text = f"{status} {problem.get('title', '')}: {problem.get('detail', 'no reason is given')}"
        if problem.get("field"):
            text += f"\n  Field: {problem['field']}"
            if problem.get("value"):
                text += f", value: {problem['value']}"
        if problem.get("remedy"):
            text += f"\n  What to do: {problem['remedy']}"
        super().__init__(text)


class Unreachable(Exception):  # noqa: N818
    """There was no answer, or one that is not of this API."""


class Api:
    """A connection to one server.

    Raises
    ------
    Refused
        From any call: the server answered with an error.
    Unreachable
        From any call: there was no usable answer.
    """

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url.rstrip("/")
        headers = {"accept": "application/json"} | ({"x-api-key": key} if key else {})
        self._http = httpx.Client(headers=headers, timeout=SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, parameters: dict[str, Any] | None = None) -> Any:
        """The JSON at a path."""
        return self._ask("GET", path, params=parameters)

    def post(self, path: str, body: Any, parameters: dict[str, Any] | None = None) -> Any:
        """The JSON that answers a body."""
        return self._ask("POST", path, json=body, params=parameters)

    def explanation(
        self,
        forecast: str,
        day: date | None = None,
        *,
        member: Mapping[str, str | int] | None = None,
    ) -> dict[str, Any]:
        """Why the newest forecast, or the one in force at the end of a day, says what it says.

        ``member`` is which instrument, target and horizon of a universe.
        """
        path, chosen = f"/v1/forecasts/{forecast}", dict(member or {})
        if day is None:
            answer: dict[str, Any] = self.get(f"{path}/latest/explanation", chosen)
        else:
            dated = chosen | {"date": day.isoformat()}
            answer = self.get(f"{path}/issued/explanation", dated)
        return answer

    def champions(
        self,
        forecast: str,
        series: str | None = None,
        member: Mapping[str, str | int] | None = None,
    ) -> list[dict[str, Any]]:
        """Who was champion when, why, and on which evidence; the present one first.

        Of an earlier series where one is named; ``member`` is which instrument, target and horizon
        of a universe.
        """
        path = f"/v1/forecasts/{forecast}/champions"
        reigns: list[dict[str, Any]] = self.get(path, _given(series=series) | dict(member or {}))[
            "reigns"
        ]
        return reigns

    def series(
        self, forecast: str, member: Mapping[str, str | int] | None = None
    ) -> list[dict[str, Any]]:
        """What the forecast is, and was, about; the series in service first."""
        path = f"/v1/forecasts/{forecast}/series"
        found: list[dict[str, Any]] = self.get(path, dict(member or {}))["series"]
        return found

    def history(
        self,
        forecast: str,
        mode: str,
        limit: int,
        *,
        start: date | None = None,
        to: date | None = None,
        series: str | None = None,
    ) -> list[dict[str, Any]]:
        """At most ``limit`` rows, newest first, from as many pages as they need."""
        asked = self.pages(forecast, mode, limit, start=start, to=to, series=series)
        rows: list[dict[str, Any]] = asked["rows"]
        return rows

    def pages(
        self,
        forecast: str,
        mode: str,
        limit: int,
        *,
        start: date | None = None,
        to: date | None = None,
        series: str | None = None,
        member: Mapping[str, str | int] | None = None,
    ) -> dict[str, Any]:
        """The history as one answer, with at most ``limit`` rows; of an earlier series if asked.

        ``member`` is which instrument, target and horizon of a universe.
        """
        rows: list[dict[str, Any]] = []
        days = {"from": start, "to": to}
        given = _given(series=series, **{n: day.isoformat() for n, day in days.items() if day})
        given |= {"mode": mode, "limit": min(limit, PAGE), **(member or {})}
        parameters: dict[str, Any] | None = given
        path: str | None = f"/v1/forecasts/{forecast}/history"
        page: dict[str, Any] = {}
        while path and len(rows) < limit:
            page = self.get(path, parameters)
            rows += page["rows"]
            path, parameters = page["next"], None
        return {**page, "rows": rows[:limit], "next": None}

    def _ask(self, method: str, path: str, **given: Any) -> Any:
        url = self._url + path
        try:
            response = self._http.request(method, url, **given)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"{url} does not answer: {error}\n"
                "  What to do: start the server (make serve), or set FX_SERVING_URL or --url."
            ) from error
        try:
            answer = response.json()
        except ValueError as error:
            raise Unreachable(
                f"{url} answered {response.status_code} with "
                f"{response.headers.get('content-type', 'no content type')}, not JSON.\n"
                "  What to do: see whether FX_SERVING_URL is the address of an fx-assets server."
            ) from error
        if response.is_success:
            return answer
        raise Refused(response.status_code, answer if isinstance(answer, dict) else {})


def _given(**parameters: str | None) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value}
