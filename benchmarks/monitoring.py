"""What one cold look at a forecast costs, Evidently's import and page included.

Prints processor seconds of three processes of their own, on the whole history of EUR/USD.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from datetime import UTC, datetime

LOOKS = 3


def look() -> float:
    """Processor seconds of one look; pandas and the features are loaded before."""
    import numpy as np
    import pandas as pd

    from fx_assets.features import build_features, feature_set, labelled_frame
    from fx_assets.monitoring.broken import faults_of_features
    from fx_assets.monitoring.drift import drift_report
    from fx_assets.monitoring.monitored import monitored_frame
    from fx_assets.testing import worlds
    from fx_assets.testing.drift_worlds import RULE, TARGET, spec

    bars = worlds.ecb_bars()
    frame = labelled_frame(bars, spec(), TARGET)
    said = pd.DataFrame(
        {
            "event_time": frame["event_time"],
            "baseline": 0.5,
            "prediction": 0.5 + np.tanh(frame["log_return"].fillna(0)),
        }
    )
    start = time.process_time()
    again = build_features(bars, "fx_close", TARGET)
    broken = faults_of_features(frame, again, feature_set("fx_close").columns, RULE.window)
    rows = monitored_frame(frame, said, spec(), TARGET)
    through = frame["event_time"].iloc[-40]
    now = datetime.now(UTC)
    made = drift_report(spec(), rows, trained_through=through, measured_at=now, broken=broken)
    from fx_assets.monitoring.evidently_report import evidently_report

    evidently_report(made, rows, through)
    return time.process_time() - start


def main() -> None:
    """Three looks, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--look", action="store_true", help="one look, in this process")
    if parser.parse_args().look:
        print(look())
        return
    command = [sys.executable, "-m", "benchmarks.monitoring", "--look"]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(LOOKS)
    ]
    shown = ", ".join(f"{float(run.stdout.split()[-1]):.1f}" for run in runs)
    print(f"One cold look at a forecast, Evidently included: {shown} s of CPU time (limit 5).")


if __name__ == "__main__":
    main()
