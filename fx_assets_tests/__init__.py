"""Tests, and what they share."""

import os

# Before NumPy is loaded: its threads wait for each other in loops, and these matrices are small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
