"""Honest exchange-rate forecasts as a Dagster asset graph."""
