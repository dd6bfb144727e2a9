"""Weights to and from PyTorch."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnjax.cells import LSTMP, Elman
from rnnjax.interop.files import Location, read_safetensors
from rnnjax.interop.parts import CELLS, Part, Shape, place, recurrent_parts
from rnnjax.interop.template import Arrays, Slot, cell_arrays, convert_from, convert_to, flatten, second_bias


def from_torch(layer: Any, weights: Mapping[str, Any] | Location, *, prefix: str = "") -> dict[str, Any]:
    """Parameters for `layer` from the `state_dict()` of an `nn.RNN`, `nn.LSTM` or `nn.GRU`.

        kernel = weight_ih.T, recurrent_kernel = weight_hh.T, bias = bias_ih, recurrent_bias = bias_hh

    `weights` has `weight_ih_l0 (G, I)`, `weight_hh_l0 (G, H)`, `bias_ih_l0 (G,)`, `bias_hh_l0 (G,)`, the same with
    `_reverse` for the backward layer and with `l1` for the second layer: a mapping of arrays or CPU tensors, or the
    path of a `.safetensors` file. Keys that do not begin with `prefix` ("lstm.") are ignored, as those of other
    modules. `layer` is an `RNN`, `Bidirectional` or `StackedRNN` with one cell and size: `Elman`, `LSTM`, `GRU`, or
    `LSTMP`, which is `nn.LSTM(proj_size=projection)` and also has `weight_hr_l0 (projection, H)`. A cell with
    `second_bias=True`, the default of a GRU, keeps PyTorch's two biases exactly; a cell without it gets their sum.
    Options that are not stored in the arrays must be the same on both sides:

        Elman(activation="relu")                    nn.RNN(nonlinearity="relu")
        initial_state=LSTMState(hidden, cell)       (h_0, c_0), which have a first axis for layers and directions

    Layers that only run in reverse, any merge other than "concat", "sigmoid" and zoneout are errors, because PyTorch
    does not have them. Dropout is set separately on each side, and is active only in training.

    Returns the `params` of `layer.apply({"params": params}, ...)` as NumPy arrays of the same numbers and dtype. Raises
    ValueError for weights of a different architecture (with the name of the array, the expected and the actual shape),
    for a layer that is not a single PyTorch module (with the name of the option), and for a file that is not a complete
    `.safetensors`; TypeError for an unsupported layer or cell; ModuleNotFoundError for a path without safetensors.
    """
    parts = _parts(layer)
    arrays = read_safetensors(weights) if isinstance(weights, str | os.PathLike) else flatten(weights)
    own = {key: array for key, array in arrays.items() if key.startswith(prefix)}
    if arrays and not own:
        raise ValueError(f"prefix: expected the beginning of one of {sorted(arrays)}, got {prefix!r}")
    # PyTorch has the gates on the first axis.
    return convert_from(parts, _slots(parts, prefix), own, _decode, gate_axis=0)


def to_torch(layer: Any, params: Any, *, prefix: str = "") -> dict[str, np.ndarray]:
    """The `state_dict` of a PyTorch module, as arrays, from the parameters of `layer`: the inverse of `from_torch`.

    A second bias that the cell does not have is zero. Raises ValueError for `params` of a different layer (with the
    name of the array), and for a layer that is not a single PyTorch module (with the name of the option); TypeError for
    an unsupported layer or cell.
    """
    parts = _parts(layer)
    return convert_to(parts, _slots(parts, prefix), params, _encode)


def _parts(layer: Any) -> list[Part]:
    parts = recurrent_parts(layer, cells=(*CELLS, LSTMP))
    kinds = {(part.cell, part.shapes["recurrent_kernel"], bool(part.direction), _activation(part)) for part in parts}
    width = sum(part.level == 0 for part in parts) * parts[0].shapes["recurrent_kernel"][0]
    if len(kinds) > 1 or any(part.shapes["kernel"][0] != width for part in parts if part.level):
        raise ValueError(
            f"layer: expected layers that fit one PyTorch module (the same cell, activation and hidden_size, all or "
            f"none of them Bidirectional and merged by 'concat'), got {layer}"
        )
    for part in parts:
        _check_options(part)
    return parts


def _activation(part: Part) -> str | None:
    """The activation of an `Elman` cell; None for other cells, where it is fixed."""
    return part.layer.cell.activation if part.layer is not None and isinstance(part.layer.cell, Elman) else None


def _check_options(part: Part) -> None:
    """Raises ValueError for an option that PyTorch does not have and that cannot be seen in the weights."""
    # A Bidirectional sets the directions of its layers and ignores their `reverse`.
    if part.layer is not None and part.layer.reverse and not part.direction:
        raise ValueError(
            f"{place(part.path)}: expected reverse=False, got True: PyTorch has no layer that only runs in reverse"
        )
    if part.merge not in ("", "concat"):
        raise ValueError(
            f"{place(part.path[:-1])}: expected merge='concat', got {part.merge!r}: PyTorch has no other merge"
        )
    activation = _activation(part)
    if activation not in (None, "tanh", "relu"):
        raise ValueError(
            f"{place(part.path)}: expected activation 'tanh' or 'relu', got {activation!r}: PyTorch has no other"
        )


def _slots(parts: Sequence[Part], prefix: str) -> list[list[Slot]]:
    slots = []
    for part in parts:
        inputs, gates = part.shapes["kernel"]
        read, _ = part.shapes["recurrent_kernel"]
        shapes: dict[str, Shape] = {
            "weight_ih": (gates, inputs),
            "weight_hh": (gates, read),
            "bias_ih": (gates,),
            "bias_hh": (gates,),
        }
        if "projection" in part.shapes:
            shapes["weight_hr"] = part.shapes["projection"][::-1]
        suffix = f"_l{part.level}_reverse" if part.direction == "backward" else f"_l{part.level}"
        where = f" ({', '.join(part.path)})" if part.path else ""
        slots.append(
            [
                Slot(name, f"{prefix}{name}{suffix}", shape, label=f"{prefix}{name}{suffix}{where}")
                for name, shape in shapes.items()
            ]
        )
    return slots


def _decode(part: Part, arrays: Arrays) -> Arrays:
    own = cell_arrays(part, arrays["weight_ih"].T, arrays["weight_hh"].T, arrays["bias_ih"], arrays["bias_hh"])
    return own | {"projection": arrays["weight_hr"].T} if "weight_hr" in arrays else own


def _encode(part: Part, arrays: Arrays) -> Arrays:
    torch = {
        "weight_ih": arrays["kernel"].T,
        "weight_hh": arrays["recurrent_kernel"].T,
        "bias_ih": arrays["bias"],
        "bias_hh": second_bias(arrays),
    }
    return torch | {"weight_hr": arrays["projection"].T} if "projection" in arrays else torch
