"""Benchmarks of speed and memory. Results are checked first; every ratio is of calls in the same run.

From Python, `compare` measures any recurrences on any cells.
"""

__commands__ = True  # for `rnnjax.start`: the checks that come before the import of JAX

import rnnjax as _  # noqa: F401
from benchmarks.recurrences.compared import compare as compare
