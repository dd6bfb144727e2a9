"""Containers of layers as functions of their layers, shared by Flax Linen and NNX."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.cells import Cell
from rnnjax.dropout import check_rate
from rnnjax.layers.forward import as_inputs, as_resets, at_last, clear_past, valid_steps
from rnnjax.modes import Static, static
from rnnjax.recurrences.noise import has_output
from rnnjax.types import State

MERGES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "concat": lambda forward, backward: jnp.concatenate([forward, backward], axis=-1),
    "sum": lambda forward, backward: forward + backward,
    "mean": lambda forward, backward: (forward + backward) / 2,
    "product": lambda forward, backward: forward * backward,
}

NORMS = ("layer", "rms")


def check_merge(merge: str) -> None:
    """Raises ValueError for an unknown merge."""
    if merge not in MERGES:
        raise ValueError(f"merge: expected one of {sorted(MERGES)}, got {merge!r}")


def merged(merge: str, forward: jax.Array, backward: jax.Array) -> jax.Array:
    """The outputs of both directions merged. Raises ValueError for sizes that cannot be merged."""
    if merge != "concat" and forward.shape != backward.shape:
        raise ValueError(f"merge {merge!r}: expected outputs of equal size, got {forward.shape} and {backward.shape}")
    return MERGES[merge](forward, backward)


def layer_options(deterministic: bool | None, all_states: bool, **others: Any) -> dict[str, Any]:
    """The options that a container passes to every layer; `all_states` only if requested."""
    options = {"deterministic": static("deterministic", deterministic), **others}
    return options | ({"all_states": static("all_states", all_states)} if all_states else {})


def both_directions(
    layers: tuple[Any, Any],
    merge: str,
    inputs: Any,
    initial_state: tuple[State, State] | None,
    lengths: Any,
    resets: Any,
    reset_state: tuple[State, State] | None,
    options: Mapping[str, Any],
) -> tuple[Any, ...]:
    """Runs the first layer forward and the second backward; returns merged outputs and pairs of states."""
    inputs = as_inputs(inputs)
    resets = as_resets(inputs, resets)
    up, down = initial_state or (None, None)
    up_reset, down_reset = reset_state or (None, None)
    # In reverse, a sequence starts at the step before the first step of the next sequence. A reset at step 0 has no
    # counterpart: it says nothing about the last step.
    ends = resets
    if ends is not None:
        if lengths is not None:
            # A reset on a padded step has no effect, so it must not be shifted onto the last valid step.
            ends = ends & valid_steps(ends, lengths)
        ends = jnp.concatenate([ends[:, 1:], jnp.zeros_like(ends[:, :1])], axis=1)
    forward, *forward_states = layers[0](
        inputs, up, lengths, resets, **{**options, "reset_state": up_reset, "reverse": Static(False)}
    )
    backward, *backward_states = layers[1](
        inputs, down, lengths, ends, **{**options, "reset_state": down_reset, "reverse": Static(True)}
    )
    return merged(merge, forward, backward), *zip(forward_states, backward_states, strict=True)


def last_of_both(
    layers: tuple[Any, Any], cells: tuple[Cell, Cell], merge: str, final_state: tuple[State, State]
) -> jax.Array:
    """The merged outputs of both directions, each at the last step that it ran.

    Raises TypeError for a cell with an output other than `hidden`: the merged outputs cannot be separated.
    """
    for cell in cells:
        if has_output(cell):
            raise TypeError(
                f"last: expected cells with output state.hidden in a Bidirectional layer, got {type(cell).__name__}"
                "; use a model that needs no last output: pooling 'mean' or 'max', start='zeros'"
            )
    return merged(merge, *(layer.last(state) for layer, state in zip(layers, final_state, strict=True)))


def check_stack(layers: Sequence[Any], norm: str | None, dropout: float) -> None:
    """Raises ValueError if there is no layer, for an unknown norm, and for a dropout outside [0, 1)."""
    if not layers:
        raise ValueError("layers: expected at least one, got none")
    if norm not in (None, *NORMS):
        raise ValueError(f"norm: expected one of {sorted(NORMS)} or None, got {norm!r}")
    check_rate("dropout", dropout)


def stacked(
    layers: Sequence[Any],
    inputs: Any,
    initial_state: Sequence[State] | None,
    lengths: Any,
    resets: Any,
    reset_state: Sequence[State] | None,
    options: Mapping[str, Any],
    *,
    normalised: Callable[[int, jax.Array], jax.Array],
    dropped: Callable[[jax.Array], jax.Array],
    residual: bool,
) -> tuple[Any, ...]:
    """Runs each layer on the outputs of the previous one; returns the outputs and the states of every layer.

    `normalised` computes the inputs of layer i, and `dropped` applies dropout to its outputs.
    """
    own: list[dict[str, Any]] = [dict(options) for _ in layers]
    for name, states in (("initial_state", initial_state), ("reset_state", reset_state)):
        if states is not None and len(states) != len(layers):
            raise ValueError(f"{name}: expected {len(layers)}, one per layer, got {len(states)}")
        for option, state in zip(own, states or (), strict=False):
            option[name] = state
    outputs, states = as_inputs(inputs), []
    if lengths is not None:
        # Values on padded steps (NaN, for example) must not reach a norm or a residual sum.
        outputs = clear_past(outputs, lengths)
    for i, (layer, option) in enumerate(zip(layers, own, strict=True)):
        below = outputs
        outputs, *layer_states = layer(normalised(i, below), lengths=lengths, resets=resets, **option)
        states.append(layer_states)
        if i + 1 < len(layers):
            outputs = dropped(outputs)
        if residual:
            outputs = _added(i, below, outputs)
    if residual and lengths is not None:
        outputs = clear_past(outputs, lengths)
    return outputs, *zip(*states, strict=True)


def _added(i: int, below: jax.Array, outputs: jax.Array) -> jax.Array:
    """The outputs of layer i plus its inputs. Raises ValueError for different sizes, except in the first layer."""
    if below.shape == outputs.shape:
        return outputs + below.astype(outputs.dtype)
    if i == 0:
        return outputs
    raise ValueError(
        f"residual: expected outputs of layer {i} with the shape of its inputs, {below.shape}, got {outputs.shape}"
    )


def last_of_stack(
    layers: Sequence[Any], residual: bool, final_state: Sequence[State], outputs: jax.Array | None, lengths: Any
) -> jax.Array:
    """The output of the stack at the last step of each sequence.

    Raises TypeError with `residual` if outputs are not given, or if the top layer is bidirectional.
    """
    top = layers[-1]
    if not residual:
        return top.last(final_state[-1], outputs, lengths)
    if outputs is None:
        raise TypeError("last: expected the outputs too, since the states do not contain the residual sum")
    reverse = getattr(top, "reverse", False)
    if not (reverse or getattr(top, "causal", True)):
        raise TypeError(
            "last: expected a unidirectional top layer, since residual is on, got a bidirectional one; use a model "
            "that needs no last output: pooling 'mean' or 'max', start='zeros'"
        )
    return at_last(outputs, lengths, reverse)


def all_causal(layers: Sequence[Any]) -> bool:
    """Whether no output of any layer depends on a later step."""
    return all(getattr(layer, "causal", True) for layer in layers)


def refuse_step() -> None:
    """Raises ValueError: a backward layer cannot process one observation at a time."""
    raise ValueError("step: expected causal layers, got a Bidirectional layer")
