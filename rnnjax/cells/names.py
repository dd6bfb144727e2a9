"""Cells by name: the cells of the library, and user-defined cells as `module:Name`."""

import importlib
import re
from collections.abc import Mapping

from rnnjax import (
    GRU,
    LRU,
    LSTM,
    LSTMP,
    MGU,
    RGLRU,
    S5,
    SLSTM,
    Cell,
    CoRNN,
    Elman,
    FullGateLSTM,
    GRUResetBefore,
    IndRNN,
    LayerNormLSTM,
    MinGRU,
    MinLSTM,
    MultiplicativeLSTM,
    ParaGRU,
    ParaLSTM,
    PeepholeLSTM,
    identity,
)
from rnnjax.cell_names import AnyCell

CELLS: Mapping[str, Cell] = {
    "elman": Elman(),
    # Le, Jaitly and Hinton 2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units".
    "irnn": Elman(activation="relu", recurrent_init=identity()),
    "lstm": LSTM(),
    "gru": GRU(),
    "gru-reset-before": GRUResetBefore(),
    "mgu": MGU(),
    "indrnn": IndRNN(),
    "layer-norm-lstm": LayerNormLSTM(),
    "multiplicative-lstm": MultiplicativeLSTM(),
    "slstm": SLSTM(),
    "para-gru": ParaGRU(),
    "para-lstm": ParaLSTM(),
    "min-gru": MinGRU(),
    "min-lstm": MinLSTM(),
    "lru": LRU(),
    "rg-lru": RGLRU(),
    "s5": S5(),
    # Greff et al. 2015, "LSTM: A Search Space Odyssey", and the names of its variants: without one part, or with FGR.
    "peephole-lstm": PeepholeLSTM(),
    "nig": PeepholeLSTM(input_gate=False),
    "nfg": PeepholeLSTM(forget_gate=False),
    "nog": PeepholeLSTM(output_gate=False),
    "niaf": PeepholeLSTM(input_activation=False),
    "noaf": PeepholeLSTM(output_activation=False),
    "cifg": PeepholeLSTM(coupled=True),
    "np": PeepholeLSTM(peepholes=False),
    "full-gate-lstm": FullGateLSTM(),
}
# Also the cells that experiments do not use, because their options depend on the task: the time step of the coRNN and
# the size of the projection. The size here is below the default hidden sizes of the benchmarks.
ALL_CELLS: Mapping[str, Cell] = {**CELLS, "cornn": CoRNN(), "lstmp": LSTMP(projection=64)}
OWN = re.compile(r"\w+(\.\w+)*:\w+")
# A user's own cells that were imported because the user named them.
_OWN: dict[str, Cell] = {}


def known_cell(name: str | AnyCell) -> Cell:
    """The cell of a study by its name: one of `CELLS`, or a user's own that `cell_by_name` has imported; or itself.

    Imports nothing: the name may have been read from a file. Raises ValueError for any other name.
    """
    if isinstance(name, Cell):
        return name
    if not isinstance(name, str):
        raise ValueError(f"cell: expected a cell or its name, got {type(name).__name__}")
    if name in _OWN:
        return _OWN[name]
    if name in CELLS:
        return CELLS[name]
    if OWN.fullmatch(name):
        raise ValueError(
            f"cell: expected {name!r}, your own cell, to be named on the command line: --cell {name} (in Python: call "
            f"rnnjax.cells.names.cell_by_name({name!r}) first)"
        )
    raise ValueError(f"cell: expected one of {', '.join(CELLS)}, or your own as module:Name, got {name!r}")


def cell_by_name(name: str) -> Cell:
    """The cell of this name: a cell of the library, or a user-defined cell or class as `package.module:Name`.

    The module of a user-defined cell is imported, which runs its code: pass only a name that the user typed, never one
    read from a file. Raises ValueError for an unknown name, a module that cannot be imported, an object that is not a
    cell, and a class with required options.
    """
    if name in ALL_CELLS:
        return ALL_CELLS[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"cell: expected one of {', '.join(ALL_CELLS)}, or your own as module:Name, got {name!r}")
    if not OWN.fullmatch(name):
        raise ValueError(f"cell: expected module:Name, such as package.module:MyCell, got {name!r}")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"cell: expected a module that can be imported, got {module!r}: {error}") from error
    if not hasattr(found, attribute):
        raise ValueError(f"cell: expected a name defined in {module}, got {attribute!r}")
    found = getattr(found, attribute)
    if isinstance(found, type) and issubclass(found, Cell):
        try:
            found = found()
        except TypeError as error:
            raise ValueError(
                f"cell: expected a cell, or a class without required options, got {name}: {error}"
            ) from error
    if not isinstance(found, Cell):
        raise ValueError(f"cell: expected a cell or a cell class, got {name}, of type {type(found).__name__}")
    _OWN[name] = found
    return found
