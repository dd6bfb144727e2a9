"""The names of the library's cells, for the options of commands: reading them needs no JAX."""

from typing import Any

NAMES = (
    *("elman", "irnn", "lstm", "gru", "gru-reset-before", "mgu", "indrnn", "layer-norm-lstm", "multiplicative-lstm"),
    *("slstm", "para-gru", "para-lstm"),
    *("peephole-lstm", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "np", "full-gate-lstm"),
)


class AnyCell:
    """The base of `Cell`, for annotations of options."""


def check_cell(cell: Any) -> None:
    """Raises ValueError as `known_cell`, which is only asked about cells that are not of the library."""
    if not isinstance(cell, str) or cell not in NAMES:
        from rnnjax.cells.names import known_cell

        known_cell(cell)
