"""Weights to and from Flax Linen."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.cells import GRU, LSTM, Elman
from rnnjax.interop.parts import Part, Shape, recurrent_parts
from rnnjax.interop.template import (
    Arrays,
    Slot,
    cell_arrays,
    convert_from,
    convert_to,
    flatten,
    nest,
    one_bias,
    second_bias,
)


class Gates(NamedTuple):
    """The letters of the gates of a Flax cell, in the order of rnnjax.

    The `bias` of rnnjax corresponds to the bias of the input ("i") or hidden ("h") kernels; `second` are the gates with
    a second bias, at the hidden kernel.
    """

    letters: tuple[str, ...]
    bias: str
    second: tuple[str, ...] = ()


GATES: dict[type | None, Gates] = {
    Elman: Gates(("",), bias="i"),
    LSTM: Gates(("i", "f", "g", "o"), bias="h"),
    GRU: Gates(("r", "z", "n"), bias="i", second=("n",)),
}

DIRECTIONS = {"forward": "forward_rnn", "backward": "backward_rnn"}


def from_flax(layer: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters for `layer` from those of a Flax `nn.RNN`, `nn.Bidirectional` or `nn.Sequential` of these.

        kernel = [ii, if, ig, io], recurrent_kernel = [hi, hf, hg, ho], bias = [hi, hf, hg, ho]      LSTM
        kernel, bias = [ir, iz, in], recurrent_kernel = [hr, hz, hn], recurrent_bias = [0, 0, hn]    GRU

    `params` is `{"cell": {...}}`, `{"forward_rnn": {"cell": ...}, "backward_rnn": ...}` or `{"layers_0": ...}`; kernels
    are `(I, H)` and `(H, H)`, one per gate. `layer` is an `RNN`, `Bidirectional` or `StackedRNN` with `Elman`
    (SimpleCell), `LSTM` (LSTMCell and OptimizedLSTMCell) or `GRU` (GRUCell). A second bias that Flax does not have is
    set to zero. Options that are not stored in the arrays must be the same on both sides:

        Elman(activation="relu")                    nn.SimpleCell(activation_fn=nn.relu); or nn.sigmoid
        RNN(reverse=True)                           nn.RNN(reverse=True, keep_order=True)
        Bidirectional(merge="sum")                  nn.Bidirectional(merge_fn=jnp.add); or another function
        initial_state=LSTMState(hidden, cell)       initial_carry=(cell, hidden)

    All other options of Flax must have their defaults (`gate_fn`, `residual=False`). Zoneout is an error, because Flax
    does not have it. Dropout is set separately on each side, and is active only in training.

    Returns the `params` of `layer.apply({"params": params}, ...)` as NumPy arrays of the same numbers and dtype. Raises
    ValueError for parameters of a different architecture (with the name of the array, the expected and the actual
    shape), and for zoneout; TypeError for an unsupported layer or cell.
    """
    parts = recurrent_parts(layer)
    return convert_from(parts, _slots(parts), flatten(params), _decode)


def to_flax(layer: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """The `params` of the Flax module, from the parameters of `layer`: the inverse of `from_flax`.

    If Flax has one bias for a gate, it gets the sum of both biases, which is the same function. `from_flax` puts the
    sum into `bias`, so a round trip is exact if the second bias was zero. See `from_flax` for what must be the same on
    both sides. Raises ValueError for `params` of a different layer (with the name of the array), and for zoneout;
    TypeError for an unsupported layer or cell.
    """
    parts = recurrent_parts(layer)
    return nest(convert_to(parts, _slots(parts), params, _encode))


def _slots(parts: Sequence[Part]) -> list[list[Slot]]:
    slots = []
    for part in parts:
        path = (*(DIRECTIONS.get(name, name) for name in part.path), "cell")
        named = {name: "/".join((*path, name)) for name in _shapes(part)}
        slots.append([Slot(name, named[name], shape, named[name]) for name, shape in _shapes(part).items()])
    return slots


def _shapes(part: Part) -> dict[str, Shape]:
    """The arrays of a cell in Flax, gate by gate."""
    inputs, hidden = part.shapes["kernel"][0], part.shapes["recurrent_kernel"][0]
    gates = GATES[part.cell]
    shapes: dict[str, Shape] = {}
    for letter in gates.letters:
        shapes |= {f"i{letter}/kernel": (inputs, hidden), f"h{letter}/kernel": (hidden, hidden)}
        shapes[f"{gates.bias}{letter}/bias"] = (hidden,)
        if letter in gates.second:
            shapes[f"h{letter}/bias"] = (hidden,)
    return shapes


def _decode(part: Part, arrays: Arrays) -> Arrays:
    gates = GATES[part.cell]

    def joined(side: str, name: str) -> np.ndarray:
        zeros = np.zeros_like(arrays[f"{gates.bias}{gates.letters[-1]}/bias"])
        return np.concatenate([arrays.get(f"{side}{letter}/{name}", zeros) for letter in gates.letters], axis=-1)

    second = joined("h", "bias") if gates.second else None
    return cell_arrays(part, joined("i", "kernel"), joined("h", "kernel"), joined(gates.bias, "bias"), second)


def _encode(part: Part, arrays: Arrays) -> Arrays:
    gates = GATES[part.cell]
    ours = arrays | {"second": second_bias(arrays), "sum": one_bias(arrays)}
    blocks = {name: np.split(array, len(gates.letters), axis=-1) for name, array in ours.items()}
    flax = {}
    for i, letter in enumerate(gates.letters):
        block = {name: split[i] for name, split in blocks.items()}
        flax |= {f"i{letter}/kernel": block["kernel"], f"h{letter}/kernel": block["recurrent_kernel"]}
        flax[f"{gates.bias}{letter}/bias"] = block["bias" if letter in gates.second else "sum"]
        if letter in gates.second:
            flax[f"h{letter}/bias"] = block["second"]
    return flax
