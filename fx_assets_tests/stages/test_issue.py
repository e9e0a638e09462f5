"""An issued row says which bar it was made from and which bar it is about."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from fx_assets.bundles.bundle import Bundle, point_to, store_bundle
from fx_assets.bundles.records import Golden
from fx_assets.errors import NoChampionError
from fx_assets.evaluation.decision import ledger_table
from fx_assets.lake import Lake
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.series import series_of
from fx_assets.stages.issue import issue_days
from fx_assets.tables import PREDICTIONS
from fx_assets.testing.lakes import hourly_lake, small_lake
from fx_assets.testing.lakes.samples import linear_graph


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_daily_row_is_about_the_close_so_many_open_days_later(
    tmp_path: Path, horizon: int
) -> None:
    target = {"kind": "direction", "horizon": horizon}
    spec = ForecastSpec.model_validate(
        small_lake.SPEC.model_dump(exclude_unset=True) | {"target": target}
    )
    bars = small_lake.bars()
    rows = _issued(tmp_path, spec, small_lake.FEED, bars, 20, small_lake.bundle(1))
    _is_so_many_bars_later(rows, bars, horizon)


@pytest.mark.parametrize("kind", sorted(hourly_lake.SPECS))
def test_an_hourly_row_is_about_the_next_hour(tmp_path: Path, kind: str) -> None:
    bars = hourly_lake.bars()
    spec, bundle = hourly_lake.SPECS[kind], hourly_lake.bundle(kind)
    rows = _issued(tmp_path, spec, hourly_lake.FEED, bars, 30, bundle)
    assert len(rows) > 24
    _is_so_many_bars_later(rows, bars, 1)


def _issued(
    root: Path, spec: ForecastSpec, feed: FeedSpec, bars: pd.DataFrame, since: int, bundle: Bundle
) -> pd.DataFrame:
    """Rows of the newest bars, by a champion that was decided on before them."""
    lake, series = Lake(str(root)), series_of(spec, feed).id
    lake.append("raw_prices", feed.name, bars)
    known = bars["available_at"].iloc[-since].to_pydatetime()
    moments = {"label_end": known, "data_as_of": known}
    told = {"forecast": spec.name, "series": series, "horizon": spec.target.horizon}
    facts = bundle.facts.model_copy(update={**moments, **told})
    store_bundle(lake, Bundle(facts, bundle.onnx, bundle.golden))
    point_to(lake, spec.name, 1)
    decided = {"decided_at": known + timedelta(minutes=1), **moments}
    decision = small_lake.decision(1).model_copy(
        update={**decided, "forecast": spec.name, "series": series}
    )
    lake.append("decisions", spec.name, ledger_table([decision]))
    days = sorted({feed.market.bar_day(at) for at in bars["event_time"].iloc[1 - since :]})
    now = bars["available_at"].iloc[-1].to_pydatetime()
    return issue_days(days, SeriesTables(lake, spec, feed), now).new_rows


def _is_so_many_bars_later(rows: pd.DataFrame, bars: pd.DataFrame, horizon: int) -> None:
    assert list(rows.columns) == list(PREDICTIONS.names)
    later = dict(zip(bars["event_time"], bars["event_time"].shift(-horizon), strict=True))
    inside = [pd.notna(later[at]) for at in rows["event_time"]]
    assert sum(inside) == len(rows) - horizon
    for row in rows[inside].to_dict("records"):
        assert row["target_time"] == later[row["event_time"]]
    assert (rows["target_time"] > rows["event_time"]).all()
    assert (rows["decision_time"] >= rows["event_time"]).all()


def test_a_champion_reads_its_own_features_though_the_forecast_is_declared_with_others(
    tmp_path: Path,
) -> None:
    kind, bars, feed = "return", hourly_lake.bars(), hourly_lake.FEED
    made = hourly_lake.bundle(kind)
    reads = {"columns": ("range_position_24h",), "input_names": ("range_position_24h",)}
    facts = made.facts.model_copy(update={**reads, "input_ranges": {}})
    bundle = Bundle(facts, linear_graph([0.5], 0.25), Golden.of([[1.0]], [0.75]))
    spec = hourly_lake.SPECS[kind]
    other = spec.model_copy(update={"features": "price_cap_volume"})
    rows = _issued(tmp_path / "same", spec, feed, bars, 30, bundle)
    assert rows["prediction"].nunique() > 1
    again = _issued(tmp_path / "other", other, feed, bars, 30, bundle)
    pd.testing.assert_frame_equal(rows, again)


def test_a_champion_whose_features_are_gone_is_refused_by_name(tmp_path: Path) -> None:
    made = hourly_lake.bundle("return")
    gone = Bundle(
        made.facts.model_copy(update={"feature_set": "of_a_plug_in"}), made.onnx, made.golden
    )
    spec, feed, bars = hourly_lake.SPECS["return"], hourly_lake.FEED, hourly_lake.bars()
    with pytest.raises(NoChampionError, match="of_a_plug_in"):
        _issued(tmp_path, spec, feed, bars, 19, gone)
