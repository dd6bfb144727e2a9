"""The common part of the converters: checks of the arrays, and conversion between one and two biases.

A converter defines for each part which arrays the other library has (`Slot`), and how the arrays are converted. Nothing
in this module depends on a particular library.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.traverse_util
import jax.numpy as jnp
import numpy as np

from rnnjax.interop.parts import CELLS, Part, Shape

# The path of each array within the parameters of a cell.
PLACES = {
    "kernel": "input/kernel",
    "recurrent_kernel": "recurrent/kernel",
    "bias": "input/bias",
    "recurrent_bias": "recurrent/bias",
    "projection": "extras/projection",
    "candidate_kernel": "extras/candidate_kernel",
}

Arrays = dict[str, np.ndarray]


class Slot(NamedTuple):
    """One array of another library: its name within the part, its key among all arrays, and its expected shape.

    `label` is its name in error messages; `hint` is added to an error about its shape.
    """

    name: str
    key: str
    shape: Shape
    label: str
    hint: str = ""


Convert = Callable[[Part, Arrays], Arrays]


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings under keys joined by "/". Raises TypeError for anything but a mapping."""
    if not isinstance(tree, Mapping):
        raise TypeError(f"expected a mapping of arrays, got {type(tree).__name__}")
    leaves = {}
    for name, value in tree.items():
        nested = isinstance(value, Mapping)
        leaves |= flatten(value, f"{prefix}{name}/") if nested else {f"{prefix}{name}": value}
    return leaves


def nest(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    return flax.traverse_util.unflatten_dict(dict(arrays), sep="/")


def convert_from(
    parts: Sequence[Part], slots: Sequence[Sequence[Slot]], values: Mapping[str, Any], decode: Convert, gate_axis=-1
) -> dict[str, Any]:
    """The nested parameters of rnnjax from the arrays of another library; `slots` are those of each part."""
    return nest(_convert(parts, slots, _own_slots(parts), values, decode, gate_axis))


def convert_to(parts: Sequence[Part], slots: Sequence[Sequence[Slot]], params: Any, encode: Convert) -> Arrays:
    """The arrays of another library by key, in the order of the slots, from nested parameters of rnnjax."""
    return _convert(parts, _own_slots(parts), slots, flatten(params), encode)


def _convert(
    parts: Sequence[Part],
    source: Sequence[Sequence[Slot]],
    target: Sequence[Sequence[Slot]],
    values: Mapping[str, Any],
    change: Convert,
    gate_axis: int = -1,
) -> Arrays:
    checked = _check_arrays(parts, source, values, gate_axis)
    arrays = {}
    for part, taken, slots in zip(parts, checked, target, strict=True):
        changed = change(part, taken)
        arrays |= {slot.key: np.ascontiguousarray(changed[slot.name]) for slot in slots}
    return arrays


def _own_slots(parts: Sequence[Part]) -> list[list[Slot]]:
    """The slots of the parameters of rnnjax, in the paths of Flax Linen."""
    slots = []
    for part in parts:
        keys = {
            name: "/".join((*part.path, "cell", PLACES[name]) if part.cell else (*part.path, name))
            for name in part.shapes
        }
        slots.append([Slot(name, keys[name], shape, keys[name]) for name, shape in part.shapes.items()])
    return slots


def _check_arrays(
    parts: Sequence[Part], slots: Sequence[Sequence[Slot]], values: Mapping[str, Any], gate_axis: int = -1
) -> list[Arrays]:
    """The values of each part by their names within it, copied into arrays.

    Raises ValueError if an array is missing, unexpected, not an array, of a wrong shape or not floating-point.
    """
    expected = {slot.key: slot for own in slots for slot in own}
    missing = [slot.label for slot in expected.values() if slot.key not in values]
    unexpected = [key for key in values if key not in expected]
    if missing or unexpected:
        lists = {"missing": missing, "unexpected": unexpected}
        named = "; ".join(f"{word} {', '.join(keys)}" for word, keys in lists.items() if keys)
        raise ValueError(f"expected {len(expected)} arrays, got {len(values)}: {named}")
    sizes: dict[str, int] = {}
    return [
        {slot.name: _check_array(part, slot, values[slot.key], sizes, gate_axis) for slot in own}
        for part, own in zip(parts, slots, strict=True)
    ]


def _check_array(part: Part, slot: Slot, value: Any, sizes: dict[str, int], gate_axis: int) -> np.ndarray:
    """The checked array; `sizes` maps letters to the sizes found so far."""
    try:
        # Not `np.array`, which requests a copy through `__array__`: PyTorch tensors do not support that.
        array = np.asarray(value).copy()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{slot.label}: expected an array, got {type(value).__name__}: {error}") from error
    check_floating(slot.label, array.dtype)
    shape = tuple(sizes.get(size, size) if isinstance(size, str) else size for size in slot.shape)
    fits = array.ndim == len(shape) and all(
        isinstance(want, str) or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        notes = [note for note in (_gates_note(part, shape, array, gate_axis), slot.hint) if note]
        want = str(shape).replace("'", "")
        raise ValueError("; ".join([f"{slot.label}: expected shape {want}, got {array.shape}", *notes]))
    sizes |= {size: got for size, got in zip(slot.shape, array.shape, strict=True) if isinstance(size, str)}
    return array


def check_floating(label: str, dtype: np.dtype) -> None:
    """Raises ValueError for a dtype that is not real floating point."""
    # JAX's `issubdtype`, because that of NumPy does not include bfloat16.
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"{label}: expected floating-point numbers, got {dtype}")


def _gates_note(part: Part, shape: Shape, array: np.ndarray, gate_axis: int) -> str:
    """A note for the error message if the array would fit a cell with a different number of gates."""
    if part.layer is None or part.cell is None or not array.ndim:
        return ""
    gates, hidden_size = part.cell.gates, part.layer.hidden_size
    got, rest = divmod(array.shape[gate_axis], hidden_size)
    if shape[gate_axis] != gates * hidden_size or rest or got not in {cell.gates for cell in CELLS} - {gates}:
        return ""
    return f"{part.cell.__name__} has {gates} gate{'s' * (gates > 1)} of {hidden_size}, got {got} of {hidden_size}"


def cell_arrays(
    part: Part, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray, second: np.ndarray | None = None
) -> Arrays:
    """The arrays of a cell in rnnjax: a cell with one bias gets the sum of two; a missing second bias is zero."""
    arrays = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias}
    if "recurrent_bias" in part.shapes:
        return arrays | {"recurrent_bias": np.zeros_like(bias) if second is None else second}
    return arrays if second is None else arrays | {"bias": bias + second}


def one_bias(arrays: Arrays) -> np.ndarray:
    """The single bias that is equivalent to the one or two biases of the cell."""
    return arrays["bias"] + arrays["recurrent_bias"] if "recurrent_bias" in arrays else arrays["bias"]


def second_bias(arrays: Arrays) -> np.ndarray:
    """The recurrent bias, or zeros if the cell has none."""
    return arrays["recurrent_bias"] if "recurrent_bias" in arrays else np.zeros_like(arrays["bias"])
