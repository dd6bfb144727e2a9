"""Measurements of speed: every figure is a ratio within one run, on work that was checked first.

From Python, `compare` measures any recurrences on any cells.
"""

# What must come before all other imports there must here, too.
import experiments as _  # noqa: F401
from benchmarks.recurrences.compared import compare as compare
