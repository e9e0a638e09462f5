"""What a person sees in a real browser."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fx_assets.monitoring.drift import ColumnDrift
from fx_assets_tests.serving_page.conftest import Site, Visit
from fx_assets_tests.serving_page.lake import ISSUED, LATE, LIVE, SILENT

AXE = Path(__file__).with_name("axe.min.js").read_text(encoding="utf-8")
NAMES = [spec.name for spec in ISSUED]
ONE_AND_OTHERS = [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])]
Tabs = Callable[..., Visit]


def shown(page: Any) -> dict[str, float]:
    """The numbers on the page that carry a name, as the page got them."""
    pairs = page.eval_on_selector_all(
        "data[data-name]", "all => all.map(e => [e.dataset.name, e.getAttribute('value')])"
    )
    return {name: float(value) for name, value in pairs if value != ""}


def expected_numbers(site: Site, name: str) -> dict[str, float]:
    """The same numbers, from the API."""
    base = f"/v1/forecasts/{name}"
    latest, model = site.json(f"{base}/latest"), site.json(f"{base}/model")
    performance, status = site.json(f"{base}/performance"), site.json(f"{base}/status")
    numbers = {
        "value": latest["value"],
        "lower": latest["interval"]["lower"],
        "upper": latest["interval"]["upper"],
        "coverage": latest["interval"]["coverage"],
        "baseline": latest["baseline"]["value"],
        "skill": latest["skill"]["skill"],
        "version": latest["champion"]["version"],
        "missing": status["data"]["missing_bars"],
        "card-version": model["champion"]["version"],
        "card-rows": model["training"]["rows"],
        "coverage-backtest": performance["coverage"]["backtest"],
        "coverage-live": performance["coverage"]["live"],
    }
    if latest["target"] != "volatility":
        numbers["close"] = latest["data"]["close"]
    for kind in ("backtest", "live"):
        for row in performance[kind]:
            numbers[f"{kind}-{row['metric']}"] = row["value"]
    for row in site.json(f"{base}/live")["candidates"]:
        numbers[f"candidate-{row['candidate']}"] = row["skill"]
    return {key: value for key, value in numbers.items() if value is not None}


@pytest.mark.parametrize("name", ONE_AND_OTHERS)
def test_every_number_on_the_page_is_the_apis(visit: Tabs, site: Site, name: str) -> None:
    page = visit(site).open(name)
    assert shown(page) == pytest.approx(expected_numbers(site, name), rel=1e-12)
    sided = bool(site.json(f"/v1/forecasts/{name}/performance")["hits"])
    assert sided == (name == "direction")
    assert page.locator("section.card").count() == 9 + sided
    assert page.locator(".chart canvas").count() > 0
    assert page.locator(".plot svg").count() == 2 + sided
    assert "undefined" not in page.inner_text("main")
    assert not re.search(r"\bNaN\b|\bnull\b", page.inner_text("main"))


def test_the_sentence_says_what_when_and_how_likely(visit: Tabs, site: Site) -> None:
    tab = visit(site)
    tab.open("direction")
    latest = site.json("/v1/forecasts/direction/latest")
    sentence = plain(tab.page.inner_text(".sentence"))
    assert f"{100 * latest['value']:.1f} % chance of closing above" in sentence
    assert f"{latest['data']['close']:.4f}" in sentence

    tab.open("volatility")
    latest = site.json("/v1/forecasts/volatility/latest")
    a_year = 100 * math.sqrt(latest["value"] * latest["bars_a_year"] / latest["horizon"])
    assert f"volatility of {a_year:.1f} % a year" in plain(tab.page.inner_text(".sentence"))


@pytest.mark.slow
def test_a_baseline_as_champion_is_said_to_have_no_skill(visit: Tabs, site: Site) -> None:
    tab = visit(site)
    verdict = plain(tab.open("direction").inner_text(".verdict"))
    assert verdict.startswith("No skill demonstrated. The champion is the baseline itself")
    assert "None of the 1 recipes tried has beaten it" in verdict

    verdict = plain(tab.open("volatility").inner_text(".verdict"))
    skill = site.json("/v1/forecasts/volatility/latest")["skill"]
    assert verdict.startswith("Knows something. Its forecasts are not shown to be better than")
    assert skill["verdict"]["word"] == "knows something"
    gauges = site.get("/metrics").text
    assert 'fx_skill_knows_something{forecast="volatility"} 1.0' in gauges
    assert 'fx_skill_demonstrated{forecast="volatility"} 0.0' in gauges
    assert 'fx_skill_knows_something{forecast="direction"} 0.0' in gauges
    assert f"{100 * skill['skill']:+.2f} %" in verdict
    assert f"({100 * skill['verdict']['reference']['lower']:+.2f} to" in verdict


@pytest.mark.parametrize("name", ONE_AND_OTHERS)
def test_live_late_and_backtest_rows_are_told_apart(visit: Tabs, site: Site, name: str) -> None:
    page = visit(site).open(name)
    for mode in ("issued", "backtest"):
        rows = site.json(f"/v1/forecasts/{name}/history?mode={mode}&limit=12")["rows"]
        found = page.eval_on_selector_all(
            f"details[data-rows={mode}] tbody tr",
            "all => all.map(row => [row.querySelector('.badge').textContent,"
            " ...[...row.querySelectorAll('data')].map(e => e.getAttribute('value'))])",
        )
        assert [row[0] for row in found] == [row["mode"] for row in rows]
        assert [float(row[1]) for row in found] == [row["prediction"] for row in rows]
        assert [row[3] == "" for row in found] == [row["outcome"] is None for row in rows]
    legend = page.inner_text(".legend")
    assert all(text in legend for text in ("backtest forecast", "live forecast", "issued late"))
    issued = site.json(f"/v1/forecasts/{name}/history?limit=100")["rows"]
    assert [row["mode"] for row in issued] == ["live"] * LIVE + ["late"] * LATE


@pytest.mark.slow
def test_decisions_are_listed_with_their_reasons(visit: Tabs, site: Site) -> None:
    page = visit(site).open("volatility")
    history = site.json("/v1/forecasts/volatility/model")["history"]
    entries = page.locator(".decisions > li")
    assert entries.count() == len(history) == 2
    for i, decision in enumerate(history):
        entry = entries.nth(i)
        assert decision["sentence"] in entry.inner_text()
        entry.locator("summary").click()
        assert all(reason in entry.inner_text() for reason in decision["reasons"])
        names = [row["candidate"] for row in decision["statistics"]]
        assert entry.locator("tbody th").all_inner_texts() == names


@pytest.mark.slow
def test_the_newest_drift_report_is_shown_the_worst_column_first(visit: Tabs, site: Site) -> None:
    assert {"column", "distance", "shift_threshold", "drifted"} <= set(ColumnDrift.model_fields)
    tab = visit(site)
    part = tab.open("volatility").locator("section", has_text="Freshness and drift").last
    assert "Drift drift" in part.inner_text()
    assert "One column has moved." in part.inner_text()
    assert "1 of 2 columns" in part.inner_text()
    part.locator("summary").click()
    assert part.locator("tbody th").all_inner_texts() == ["rsi_14", "log_return"]
    assert "has not been measured" in tab.open("direction").inner_text("main")


def test_the_chart_follows_the_range_buttons_and_the_keys(visit: Tabs, site: Site) -> None:
    page = visit(site).open("direction")
    everything = page.get_by_role("button", name="All", exact=True)
    pictures = [page.locator(".chart").screenshot()]
    everything.click()
    assert everything.get_attribute("aria-pressed") == "true"
    pictures.append(redrawn(page, pictures[-1]))
    page.locator(".chart").focus()
    for key in ("+", "ArrowLeft"):
        page.keyboard.press(key)
        pictures.append(redrawn(page, pictures[-1]))
    assert len(set(pictures)) == len(pictures)


def redrawn(page: Any, before: bytes) -> bytes:
    """The chart once it looks otherwise."""
    for _ in range(100):
        page.wait_for_timeout(100)
        picture: bytes = page.locator(".chart").screenshot()
        if picture != before:
            return picture
    raise AssertionError("the chart has not changed")


def test_everything_can_be_reached_by_keyboard(visit: Tabs, site: Site) -> None:
    page = visit(site).open("direction")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the forecast"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "theme"
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    for _ in range(len(NAMES) + 2):
        page.keyboard.press("Tab")
        if "#returns" in page.evaluate("document.activeElement.getAttribute('href')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-forecast=returns]")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    assert page.title().startswith("EUR/USD return")
    unreachable = page.eval_on_selector_all(
        "button, summary, a[href], .chart, .scroll", "all => all.filter(e => e.tabIndex < 0).length"
    )
    assert unreachable == 0


@pytest.mark.slow
def test_dark_follows_the_system_and_the_button_wins(visit: Tabs, site: Site) -> None:
    page = visit(site, color_scheme="dark").open("direction")

    def brightness() -> float:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3

    assert brightness() < 60
    dark = page.locator(".chart").screenshot()
    page.get_by_role("button", name="Theme").click()
    assert brightness() > 200
    page.wait_for_timeout(150)
    assert page.locator(".chart").screenshot() != dark
    page.reload()
    page.wait_for_selector("main[data-state=ready]")
    assert brightness() > 200


@pytest.mark.parametrize("name", [*ONE_AND_OTHERS, SILENT.name])
def test_a_phone_never_scrolls_sideways(visit: Tabs, site: Site, name: str) -> None:
    page = visit(site, viewport={"width": 390, "height": 844}, has_touch=True).open(name)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("direction", "dark"), pytest.param("volatility", "light", marks=pytest.mark.slow)],
)
def test_axe_finds_nothing_serious(visit: Tabs, site: Site, name: str, scheme: str) -> None:
    page = visit(site, color_scheme=scheme, bypass_csp=True).open(name)
    unfold(page)
    page.evaluate(AXE)
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    serious = [
        (rule["id"], [node["html"][:200] for node in rule["nodes"]])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.slow
def test_a_forecast_that_has_issued_nothing_says_since_when_one_is_due(
    visit: Tabs, site: Site
) -> None:
    page = visit(site).open(SILENT.name)
    text = page.inner_text("main")
    assert "No forecast has been issued yet." in text
    published = site.json(f"/v1/forecasts/{SILENT.name}/model")["published_at"]
    assert "One has been expected since" in text
    assert page.locator(".headline time").get_attribute("datetime") == published


def test_what_is_declared_no_more_comes_last_and_promises_nothing(visit: Tabs, site: Site) -> None:
    tab = visit(site)

    def with_one_retired(route: Any) -> None:
        answer = route.fetch()
        listed = answer.json()
        for row in listed["forecasts"]:
            row["retired"] = row["forecast"] == "direction"
        route.fulfill(response=answer, json=listed)

    tab.page.route("**/v1/forecasts", with_one_retired)
    page = tab.open()
    assert "no longer declared" in page.locator(".tiles li").last.inner_text()
    assert "no longer declared" in page.locator("#forecasts li").last.inner_text()
    text = tab.open("direction").inner_text(".headline")
    assert "It is no longer declared, so no newer forecast will come." in text
    assert "a newer forecast follows" not in text
    assert "The next is expected" not in text


@pytest.mark.slow
def test_nobody_who_reads_a_forecast_is_told_to_run_commands(visit: Tabs, site: Site) -> None:
    tab = visit(site)
    for name in (*NAMES, SILENT.name, ""):
        text = tab.open(name).inner_text("body")
        assert not re.search(r"\bmake (run|serve|dev)\b|fx-assets run|Materialize", text)


@pytest.mark.slow
def test_all_forecasts_come_first_the_proven_before_the_newest_and_the_silent_last(
    visit: Tabs, site: Site
) -> None:
    tab = visit(site)
    page = tab.open()
    listed = site.json("/v1/forecasts")
    rows = {row["forecast"]: row for row in listed["forecasts"]}
    assert {name for name, row in rows.items() if row["newest"] is None} == {SILENT.name}
    links = page.eval_on_selector_all(
        ".tiles li > a", "all => all.map(e => decodeURIComponent(e.hash.slice(1)))"
    )
    proven = [name for name, row in rows.items() if row["skill"]["demonstrated"]]
    assert links[: len(proven)] == sorted(proven, key=lambda name: -rows[name]["skill"]["skill"])
    assert links[-1] == SILENT.name
    assert sorted(links) == sorted(rows)
    values = page.eval_on_selector_all(
        ".tiles .value data", "all => all.map(e => Number(e.getAttribute('value')))"
    )
    newest = [rows[name]["newest"]["value"] for name in links if rows[name]["newest"]]
    assert values == newest
    everything = len(listed["forecasts"]) + len(listed["universes"]) + len(listed["unpublished"])
    assert page.locator(".tiles li").count() == everything
    page.fill("#overview-search", "volat")
    assert page.locator(".tiles li:visible").count() < everything
    assert page.locator(".tiles li:visible a").first.get_attribute("href") == "#volatility"
    page.fill("#overview-search", "")
    page.locator(".tiles a").first.click()
    tab.settle(links[0])


def test_the_hit_rate_is_the_apis_with_its_band(visit: Tabs, site: Site) -> None:
    page = visit(site).open("direction")
    answer = site.json("/v1/forecasts/direction/performance")
    last = answer["hits"][-1]
    part = page.locator("section", has=page.locator("h2", has_text="Hit rate"))
    label = plain(str(part.locator("svg").first.get_attribute("aria-label")))
    for share in (last["rate"], last["lower"], last["upper"]):
        assert f"{100 * share:.1f} %" in label
    assert part.locator(".band").count() == 1


@pytest.mark.slow
def test_a_search_finds_an_instrument_in_a_universe_and_leads_to_it(
    visit: Tabs, universe_site: Site
) -> None:
    tab = visit(universe_site)
    page = tab.open()
    (universe,) = universe_site.json("/v1/forecasts")["universes"]
    page.fill("#overview-search", universe["instruments"][0][3:])
    link = page.locator(".matches a").first
    found = str(link.get_attribute("href")).partition("/")[2]
    assert found in universe["instruments"]
    link.click()
    tab.settle(universe["forecast"])
    assert page.input_value("#instrument-search") == found
    page.wait_for_selector(f"h2:has-text('{found}')")
    said = page.inner_text(f"table.universe tr:has-text('{found}')")
    assert "not demonstrated" in said
    assert " to " in said, "its interval stands there"
    (detail,) = page.locator("section", has=page.locator(f"h2:has-text('{found}')")).all()
    assert "claims no skill" in detail.inner_text() or "not shown" in detail.inner_text()
    for title in ("Scores", "Candidates live"):
        assert page.locator(f"h2:has-text('{title}')").count() == 1


@pytest.mark.slow
def test_bars_with_highs_and_lows_are_drawn_as_candles(visit: Tabs, hourly_site: Site) -> None:
    page = visit(hourly_site).open("hourly_volatility")
    assert "filled where it fell" in page.inner_text(".legend")
    path = "/v1/forecasts/hourly_volatility/prices?features=false&limit=1"
    (bar,) = hourly_site.json(path)["rows"]
    said = " · ".join(f"{name} {bar[name]:.2f}" for name in ("open", "high", "low", "close"))
    assert said in page.inner_text(".readout")
    before = page.locator(".chart").screenshot()
    page.get_by_role("button", name="All", exact=True).click()
    redrawn(page, before)


@pytest.mark.slow
def test_fixings_are_drawn_as_a_line(visit: Tabs, site: Site) -> None:
    page = visit(site).open("volatility")
    assert "filled where it fell" not in page.inner_text(".legend")
    assert "open" not in page.inner_text(".readout")


@pytest.mark.slow
def test_an_empty_lake_says_of_each_forecast_that_it_is_not_published_yet(
    visit: Tabs, empty_site: Site
) -> None:
    page = visit(empty_site).open()
    declared = empty_site.json("/v1/forecasts")["unpublished"]
    assert page.locator(".tiles li").count() == len(declared) > 5
    assert page.locator(".tiles", has_text="Nothing published yet").count() == 1
    assert "make run" not in page.inner_text("main")


@pytest.mark.slow
def test_where_nothing_is_known_the_page_says_who_knows_why(
    visit: Tabs, undeclared_site: Site
) -> None:
    tab = visit(undeclared_site)
    tab.page.goto(undeclared_site.url)
    tab.page.wait_for_selector("main[data-state=failed]")
    assert undeclared_site.get("/v1/forecasts").status_code == 503
    text = tab.page.inner_text("main")
    assert "There is nothing to show yet" in text
    assert "make run" not in text
    assert tab.page.locator("main a").get_attribute("href") == "health/ready"
    assert all("503" in said for said in tab.problems)
    tab.problems.clear()


@pytest.mark.slow
def test_where_keys_are_asked_for_the_page_asks_for_one(
    visit: Tabs, locked: tuple[Site, str]
) -> None:
    site, key = locked
    tab = visit(site)
    tab.page.goto(f"{site.url}/#volatility")
    tab.page.fill("#key", "fx_wrong")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("main[data-state=failed]")
    tab.page.fill("#key", key)
    tab.page.keyboard.press("Enter")
    tab.settle("volatility")
    assert all("401" in said for said in tab.problems)
    tab.problems.clear()


def unfold(page: Any) -> None:
    """Open all that can be opened."""
    page.eval_on_selector_all("details", "all => all.forEach(e => { e.open = true; })")
    page.wait_for_timeout(100)


def plain(text: str) -> str:
    """With ordinary blanks."""
    return text.replace("\u202f", " ").replace("\xa0", " ")
