"""The names of the library's cells, for the options of commands: reading them needs no JAX."""

from typing import Any, Literal

RecurrenceName = Literal["scan", "unrolled", "chunked", "associative", "newton"]

# Cells without a nonlinearity between two steps: a study runs them within a `RecurrentBlock`.
LINEAR = ("min-gru", "min-lstm", "lru", "rg-lru", "s5")
COMPLEX = ("lru", "s5")
NAMES = (
    *("elman", "irnn", "lstm", "gru", "gru-reset-before", "mgu", "indrnn", "layer-norm-lstm", "multiplicative-lstm"),
    *("slstm", "para-gru", "para-lstm", *LINEAR),
    *("peephole-lstm", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "np", "full-gate-lstm"),
)


class AnyCell:
    """The base of `Cell`, for annotations of options."""


def check_cell(cell: Any, recurrence: str | None = None) -> None:
    """Raises ValueError as `known_cell`, which is only asked about cells that are not of the library.

    Also for a recurrence of this name that cannot run a cell of the library.
    """
    known = isinstance(cell, str) and cell in NAMES
    if recurrence == "associative" and known and cell not in LINEAR:
        raise ValueError(f"recurrence: expected associative only with {', '.join(LINEAR)}, got it with {cell}")
    if recurrence == "newton" and cell in COMPLEX:
        raise ValueError(f"recurrence: expected another one than newton for the complex states of {cell}, got newton")
    if not known:
        from rnnjax.cells.names import known_cell

        known_cell(cell)
