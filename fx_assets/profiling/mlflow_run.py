"""A feed's profile in MLflow: one run a feed, its figures over time, its newest page."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from fx_assets.profiling.profile import FeedProfile
from fx_assets.registry.links import run_path
from fx_assets.registry.runs import ModelRegistry

EXPERIMENT = "profiles"
FILE = "profile.html"


def log_profile(registry: ModelRegistry, profile: FeedProfile, page: bytes) -> str:
    """Log figures and page to the feed's run, which is created where it is missing.

    Every call adds a value to each metric, at the profile's moment, and replaces the page, so that
    weekly profiles keep one page a feed.

    Returns
    -------
    str
        Path of the run's page below the address of MLflow's UI.

    Raises
    ------
    RegistryError
        MLflow cannot be reached or does not take the figures.
    """
    from mlflow.entities import Metric

    experiment = registry.experiment(EXPERIMENT)
    client = registry.client()
    moment = int(profile.at.timestamp() * 1000)
    with registry.errors(f"logging the profile of {profile.feed}"):
        known = client.search_runs([experiment], f"tags.feed = '{profile.feed}'", max_results=1)
        run = known[0] if known else client.create_run(experiment, run_name=profile.feed)
        run_id = str(run.info.run_id)
        for name, value in _tags(profile).items():
            client.set_tag(run_id, name, value)
        metrics = [Metric(name, value, moment, 0) for name, value in figures(profile).items()]
        client.log_batch(run_id, metrics=metrics)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, FILE)
            file.write_bytes(page)
            client.log_artifact(run_id, str(file))
        client.set_terminated(run_id, "FINISHED")
    return run_path(experiment, run_id)


def figures(profile: FeedProfile) -> dict[str, float]:
    """The profile's numbers by name; what is not finite is left out."""
    counts = {
        "bars": profile.rows,
        "missing": profile.missing,
        "unexpected": profile.unexpected,
        "revised": profile.revised,
        "revisions": profile.revisions,
        "longest_gap": int(profile.gaps["missing"].max()) if len(profile.gaps) else 0,
        "providers": len(profile.providers),
    }
    all_of_them = {**{name: float(n) for name, n in counts.items()}, **profile.returns}
    return {name: value for name, value in all_of_them.items() if math.isfinite(value)}


def _tags(profile: FeedProfile) -> dict[str, str]:
    return {
        "feed": profile.feed,
        "instrument": profile.instrument,
        "frequency": profile.frequency,
        "calendar": profile.calendar,
        "as_of": profile.at.isoformat(),
        "last_bar": profile.last.isoformat(),
    }
