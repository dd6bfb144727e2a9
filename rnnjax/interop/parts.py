"""The parts of a recurrent layer that have weights: its cells, from first to last, and the arrays of each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rnnjax.cells import GRU, LSTM, LSTMP, Elman, GRUResetBefore, PointwiseCell
from rnnjax.layers import RNN, Bidirectional, StackedRNN
from rnnjax.maps import Dense
from rnnjax.types import features

# The cells that all libraries have; some have more.
CELLS: tuple[type[PointwiseCell], ...] = (Elman, LSTM, GRU)

# A letter is an unknown size, set by the first array that has it.
Shape = tuple[int | str, ...]


class Part(NamedTuple):
    """A part with parameters: a `cell` of a recurrent `layer`, or an embedding or dense layer (then both are None).

    `shapes` are those of the rnnjax arrays. The two directions of a bidirectional layer have the same `level` (the
    position in the stack, from 0) and the same `merge`.
    """

    path: tuple[str, ...]
    shapes: dict[str, Shape]
    cell: type[PointwiseCell] | None = None
    layer: RNN | None = None
    level: int = 0
    direction: str = ""
    merge: str = ""


def place(path: tuple[str, ...]) -> str:
    """The position of a layer within the converted layer, as the start of error messages."""
    return ", ".join(path) or "layer"


def output_size(layer: Any) -> Any:
    """The output features of a recurrent layer."""
    if isinstance(layer, StackedRNN):
        return output_size(layer.layers[-1])
    if isinstance(layer, Bidirectional):
        sizes = output_size(layer.forward), output_size(layer.backward)
        return sum(sizes) if layer.merge == "concat" else sizes[0]
    return layer.cell.read_size(layer.hidden_size)


def recurrent_parts(
    layer: Any,
    input_size: int | str = "I",
    path: tuple[str, ...] = (),
    cells: Sequence[type[PointwiseCell]] = CELLS,
) -> list[Part]:
    """The cells of a recurrent layer, from the first layer to the last, forward before backward.

    Raises TypeError unless the layer is an `RNN`, `Bidirectional` or a `StackedRNN` of these, and for a cell that is
    not in `cells`; ValueError for a GRU with one bias, or a layer with options that no other library has.
    """
    return _walk(layer, input_size, path, 0, cells)


def _walk(
    layer: Any, inputs: int | str, path: tuple[str, ...], level: int, cells: Sequence[type[PointwiseCell]]
) -> list[Part]:
    if isinstance(layer, Bidirectional):
        return [
            _cell_part(getattr(layer, direction), inputs, (*path, direction), level, cells, direction, layer.merge)
            for direction in ("forward", "backward")
        ]
    if not isinstance(layer, StackedRNN):
        return [_cell_part(layer, inputs, path, level, cells)]
    if layer.residual or layer.norm:
        raise ValueError(
            f"{place(path)}: expected residual=False and norm=None, got {layer.residual} and {layer.norm!r}: stacks of "
            "the other libraries do not have them"
        )
    parts = []
    for i, below in enumerate(layer.layers):
        parts += _walk(below, inputs, (*path, f"layers_{i}"), level, cells)
        inputs, level = output_size(below), parts[-1].level + 1
    return parts


def _cell_part(
    layer: Any,
    inputs: int | str,
    path: tuple[str, ...],
    level: int,
    cells: Sequence[type[PointwiseCell]],
    direction: str = "",
    merge: str = "",
) -> Part:
    where = place(path)
    if not isinstance(layer, RNN):
        raise TypeError(f"{where}: expected an RNN, Bidirectional or StackedRNN, got {type(layer).__name__}")
    cell, hidden_size = layer.cell, layer.hidden_size
    # A subclass may compute something else from the same arrays.
    if type(cell) not in cells or not isinstance(cell, PointwiseCell):
        *names, last = (kind.__name__ for kind in cells)
        raise TypeError(f"{where}: expected the cell {', '.join(names)} or {last}, got {type(cell).__name__}")
    if isinstance(cell, GRU) and not cell.second_bias:
        raise ValueError(f"{where}: expected GRU(second_bias=True), got False: the other libraries have both biases")
    if cell.input_map != Dense() or cell.recurrent_map != Dense():
        raise ValueError(
            f"{where}: expected the maps Dense() and Dense(), got {cell.input_map} and {cell.recurrent_map}: cells of "
            "the other libraries only have plain matrices"
        )
    if layer.learn_initial_state:
        raise ValueError(f"{where}: expected learn_initial_state=False, got True: the other libraries do not have it")
    rates = layer.zoneout.values() if isinstance(layer.zoneout, Mapping) else [layer.zoneout]
    if any(rates):
        raise ValueError(
            f"{where}: expected zoneout=0.0, got {layer.zoneout}: the other libraries do not have it, and it also "
            "changes outputs outside training; layer.clone(zoneout=0.0) has the same parameters"
        )
    if not isinstance(hidden_size, int):
        raise ValueError(f"{where}: expected a number for hidden_size, got {hidden_size}")
    if isinstance(cell, GRUResetBefore) and cell.second_bias:
        raise ValueError(
            f"{where}: expected GRUResetBefore(second_bias=False), got True: the other libraries have one bias"
        )
    shapes = _shapes(cell, inputs, hidden_size)
    return Part(path, shapes, type(cell), layer, level, direction, merge)


def _shapes(cell: PointwiseCell, inputs: int | str, hidden: int) -> dict[str, Shape]:
    """The arrays of a cell in rnnjax."""
    (read,), gates, recurrent_gates = (
        features(cell.read_size(hidden)),
        cell.gates * hidden,
        cell.recurrent_gates * hidden,
    )
    shapes: dict[str, Shape] = {
        "kernel": (inputs, gates),
        "recurrent_kernel": (read, recurrent_gates),
        "bias": (gates,),
    }
    if cell.second_bias:
        shapes["recurrent_bias"] = (recurrent_gates,)
    if isinstance(cell, LSTMP):
        shapes["projection"] = (hidden, read)
    if isinstance(cell, GRUResetBefore):
        shapes["candidate_kernel"] = (hidden, hidden)
    return shapes
