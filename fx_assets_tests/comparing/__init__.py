"""Tests of what a change does to the forecasts."""
