"""Tests for user-defined cells: every recurrence, dtype and requirement, in one call."""

from rnnjax.testing.check import check_cell as check_cell
from rnnjax.testing.findings import Report as Report
