"""A world whose regime changes, and what a deployment declares for it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from fx_assets.testing import worlds
from fx_assets_tests.platform import rates_of

NEVER = "0 0 29 2 *"
"""Schedules follow the real clock; here everything follows the data."""
BARS, SHIFTED = 1560, 42
TREND = 0.6
VOLATILITY = 0.006
START = "2012-01-02"

FEED = f"""
type: fx_assets.components.PriceFeed
attributes:
  name: eurusd
  description: A simulated EUR/USD.
  source: {{kind: ecb, quote: USD}}
  start: 2012-01-01
  ingest_cron: "{NEVER}"
"""
FORECAST = f"""
type: fx_assets.components.Forecast
attributes:
  name: direction
  description: Probability that the next fixing is above the last one.
  feed: eurusd
  target: {{kind: direction}}
  candidates: [logistic_regression]
  walk_forward: {{first_test: 2013-01-01, min_train: 200, refit_every: 504}}
  abstain: "off"
  promotion: {{rule: fixed, min_rows: 1000, demotion_rows: 40}}
  suspicion: {{accuracy: 1, roc_auc: 1, skill: 1}}
  live_from: 2017-01-02
  retrain_cron: "{NEVER}"
"""


def rates() -> pd.DataFrame:
    """EUR/USD by day: a trend-following market that turns round in its last ``SHIFTED`` bars.

    Log returns are AR(1) with coefficient ``TREND`` at first. Then its sign is the opposite and
    volatility is twice what it was: what the champion has learnt is wrong from there on.
    """
    noise = np.random.default_rng(3).standard_normal(BARS)
    turned = np.arange(BARS) >= BARS - SHIFTED
    steps = np.empty(BARS)
    steps[0] = noise[0]
    for i in range(1, BARS):
        coefficient = -TREND if turned[i] else TREND
        steps[i] = coefficient * steps[i - 1] + math.sqrt(1 - TREND**2) * noise[i]
    steps *= np.where(turned, 2 * VOLATILITY, VOLATILITY)
    days = worlds.trading_days(BARS, START)
    return rates_of(worlds.bars_from_closes(days, 1.2 * np.exp(np.cumsum(steps))))


def declare(folder: Path) -> None:
    """Write the deployment's own ``defs.yaml`` files."""
    for where, text in (("feeds/eurusd", FEED), ("forecasts/direction", FORECAST)):
        (folder / where).mkdir(parents=True)
        (folder / where / "defs.yaml").write_text(text)
