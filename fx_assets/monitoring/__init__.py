"""Watching: freshness, drift and live performance.

Numbers and verdicts as plain records; what acts on them lives above. Nothing here imports Evidently
or SciPy before it is needed.
"""
