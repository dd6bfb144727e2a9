"""Recurrences by name, for the options of commands."""

from collections.abc import Mapping

from rnnjax.cell_names import RecurrenceName
from rnnjax.recurrences import Associative, Chunked, Newton, Recurrence, Scan, Unrolled

RECURRENCES: Mapping[RecurrenceName, Recurrence] = {
    "scan": Scan(),
    "unrolled": Unrolled(),
    "chunked": Chunked(),
    "associative": Associative(),
    "newton": Newton(),
}
