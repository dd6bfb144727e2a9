"""Tests for a cell of your own: every recurrence, dtype and promise, in one call."""

from rnnjax.testing.check import check_cell as check_cell
from rnnjax.testing.findings import Report as Report
