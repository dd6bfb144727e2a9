"""Weights to and from Keras 3."""

import os
from collections import Counter
from collections.abc import Sequence
from itertools import count, pairwise
from typing import Any

import numpy as np

from rnnjax.cells import GRU, LSTM, Elman, GRUResetBefore
from rnnjax.interop.files import Location, read_weights_h5
from rnnjax.interop.parts import CELLS, Part, Shape, output_size, recurrent_parts
from rnnjax.interop.template import Arrays, Slot, cell_arrays, convert_from, convert_to, one_bias
from rnnjax.models import SequenceClassifier

# The name of a layer in a .weights.h5 file, which depends on its class, not on the name given by the user.
CLASSES: dict[type | None, str] = {Elman: "simple_rnn", LSTM: "lstm", GRU: "gru", GRUResetBefore: "gru"}

KERAS_CELLS = (*CELLS, GRUResetBefore)

BIASES: dict[type | None, str] = {
    GRU: "a Keras GRU has two biases if reset_after=True; if it is False, use the cell GRUResetBefore",
    GRUResetBefore: "a Keras GRU has one bias if reset_after=False; if it is True, use the cell GRU",
}
KEPT_APART = ("recurrent_bias", "candidate_kernel")


def from_keras(layer: Any, weights: Sequence[Any] | Location) -> dict[str, Any]:
    """Parameters for `layer` from the weights of a Keras layer or model.

        kernel (I, G), recurrent_kernel (H, G), bias (G,); the bias of a GRU is (2, G)

    `weights` is the list returned by `get_weights()`, or the path of a `.weights.h5` file saved by a Sequential or
    functional model. `layer` is an `RNN`, `Bidirectional` or `StackedRNN` with `Elman` (SimpleRNN), `LSTM`, `GRU`
    (`reset_after=True`) or `GRUResetBefore` (`reset_after=False`, with bias (G,)), or a `SequenceClassifier`
    (Embedding, recurrent layers, Dense layers; the last Dense layer is the head). The gates of a Keras GRU are z, r, h;
    here they are r, z, n. A second bias that Keras does not have is set to zero. Options that are not stored in the
    arrays must be the same on both sides:

        Elman(activation="relu")                    SimpleRNN(activation="relu"); or "sigmoid"
        RNN(reverse=True)                           go_backwards=True, and keras.ops.flip(outputs, 1)
        Bidirectional(merge="mean")                 Bidirectional(merge_mode="ave"); "product" is "mul"
        initial_state=LSTMState(hidden, cell)       initial_state=[hidden, cell]
        SequenceClassifier(pooling="mean")          GlobalAveragePooling1D(); "last": return_sequences=False

    All other options of Keras must have their defaults (`activation="tanh"`, `recurrent_activation="sigmoid"`); hidden
    Dense layers have "relu", the head has no activation. Zoneout and `features` are errors, because Keras does not have
    them. Dropout is set separately on each side, and is active only in training.

    Returns the `params` of `layer.apply({"params": params}, ...)` as NumPy arrays of the same numbers and dtype. Raises
    ValueError for weights of a different architecture (with the name of the array, the expected and the actual shape),
    for zoneout, `features` and a file that is not a complete `.weights.h5`; TypeError for an unsupported layer or cell;
    ModuleNotFoundError for a path without h5py.
    """
    parts = _parts(layer)
    if isinstance(weights, str | os.PathLike):
        return convert_from(parts, _slots(parts, _file_keys(parts)), read_weights_h5(weights), _decode)
    if not isinstance(weights, Sequence):
        raise TypeError(f"weights: expected the list of get_weights() or a path, got {type(weights).__name__}")
    named = {f"weights[{i}]": array for i, array in enumerate(weights)}
    return convert_from(parts, _slots(parts, _list_keys(parts)), named, _decode)


def to_keras(layer: Any, params: Any) -> list[np.ndarray]:
    """The list for `set_weights` of a Keras layer or model: the inverse of `from_keras`.

    A SimpleRNN or LSTM of Keras has one bias, which gets the sum of both. See `from_keras` for what must be the same on
    both sides. Raises ValueError for `params` of a different layer (with the name of the array), for zoneout and
    `features`; TypeError for an unsupported layer or cell.
    """
    parts = _parts(layer)
    return list(convert_to(parts, _slots(parts, _list_keys(parts)), params, _encode).values())


def _parts(layer: Any) -> list[Part]:
    if not isinstance(layer, SequenceClassifier):
        return recurrent_parts(layer, cells=KERAS_CELLS)
    if layer.features:
        raise ValueError(f"features: expected a classifier of tokens alone, got {layer.features} further inputs")
    recurrent = recurrent_parts(layer.recurrent, layer.embedding_size, ("recurrent",), KERAS_CELLS)
    sizes = (output_size(layer.recurrent), *layer.dense, layer.logits)
    names = (*(f"dense_{i}" for i in range(len(layer.dense))), "head")
    return [
        Part(("embedding",), {"embedding": (layer.vocabulary_size, layer.embedding_size)}),
        *recurrent,
        *(
            Part((name,), {"kernel": shape, "bias": shape[1:]})
            for name, shape in zip(names, pairwise(sizes), strict=True)
        ),
    ]


def _shapes(part: Part) -> dict[str, Shape]:
    """The arrays of a part in Keras, in its order."""
    shapes = {name: shape for name, shape in part.shapes.items() if name not in KEPT_APART}
    if part.cell is GRU:
        return shapes | {"bias": (2, *shapes["bias"])}
    if part.cell is GRUResetBefore:
        return shapes | {"recurrent_kernel": (shapes["recurrent_kernel"][0], *shapes["bias"])}
    return shapes


def _slots(parts: Sequence[Part], keys: Sequence[Sequence[str]]) -> list[list[Slot]]:
    return [
        [
            Slot(
                name,
                key,
                shape,
                label=f"{key} ({', '.join((*part.path, name))})",
                hint=BIASES.get(part.cell, "") if name == "bias" else "",
            )
            for key, (name, shape) in zip(own, _shapes(part).items(), strict=True)
        ]
        for part, own in zip(parts, keys, strict=True)
    ]


def _list_keys(parts: Sequence[Part]) -> list[list[str]]:
    """The keys of `get_weights()`: it has no names, so each key is the position in the list."""
    places = count()
    return [[f"weights[{next(places)}]" for _ in _shapes(part)] for part in parts]


def _file_keys(parts: Sequence[Part]) -> list[list[str]]:
    """The keys in a file. Groups are numbered for each class in the order of the layers, not in file order."""
    seen: Counter[str] = Counter()
    keys, group = [], ""
    for part in parts:
        if part.direction != "backward":
            name = _class(part)
            group = f"layers/{name}_{seen[name]}" if seen[name] else f"layers/{name}"
            seen[name] += 1
        direction = f"/{part.direction}_layer" if part.direction else ""
        cell = "/cell" if part.cell else ""
        keys.append([f"{group}{direction}{cell}/vars/{i}" for i in range(len(_shapes(part)))])
    return keys


def _class(part: Part) -> str:
    if part.cell is None:
        return "embedding" if "embedding" in part.shapes else "dense"
    return "bidirectional" if part.direction else CLASSES[part.cell]


def _decode(part: Part, arrays: Arrays) -> Arrays:
    if part.cell is None:
        return arrays
    if part.cell not in BIASES:
        return cell_arrays(part, **arrays)
    arrays = {name: _swap_gates(array) for name, array in arrays.items()}
    if part.cell is GRU:
        bias, second = arrays.pop("bias")
        return cell_arrays(part, **arrays, bias=bias, second=second)
    gates, candidate = np.split(arrays.pop("recurrent_kernel"), [-arrays["bias"].shape[0] // 3], axis=-1)
    return cell_arrays(part, **arrays, recurrent_kernel=gates) | {"candidate_kernel": candidate}


def _encode(part: Part, arrays: Arrays) -> Arrays:
    if part.cell is None:
        return arrays
    bias = np.stack([arrays["bias"], arrays["recurrent_bias"]]) if part.cell is GRU else one_bias(arrays)
    recurrent = [arrays[name] for name in ("recurrent_kernel", "candidate_kernel") if name in arrays]
    keras = {"kernel": arrays["kernel"], "recurrent_kernel": np.concatenate(recurrent, axis=-1), "bias": bias}
    return {name: _swap_gates(array) for name, array in keras.items()} if part.cell in BIASES else keras


def _swap_gates(array: np.ndarray) -> np.ndarray:
    """The gate blocks r, z, n of a GRU from z, r, h, or the inverse."""
    first, second, candidate = np.split(array, 3, axis=-1)
    return np.concatenate([second, first, candidate], axis=-1)
