"""Watching: freshness, drift, performance, alerts, explanations and the promotion ledger.

Numbers and verdicts as plain records; what acts on them lives above. Nothing here imports Evidently
or SciPy before it is needed.
"""
