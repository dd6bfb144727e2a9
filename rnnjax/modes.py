"""Flags of a call (training or not, direction), and checks of the modules inside a module."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax


@jax.tree_util.register_static
class Static(int):
    """A bool that stays static inside `nn.remat` and other transformations, which trace plain keyword bools.

    Containers use it to pass flags to their layers, which may be transformed.
    """


def static(name: str, flag: bool | None) -> Static | None:
    """The flag as a `Static` for a layer; None is unchanged."""
    return None if flag is None else Static(known(name, flag))


# What to do instead of passing a keyword flag to a layer in `nn.remat` or `nn.jit`, which trace the flag.
INSTEAD = {
    "deterministic": 'omit it and pass a "dropout" rng only in training',
    "all_states": "call the layer outside of them",
    "reverse": "set it in the constructor: RNN(cell, size, reverse=True)",
}


def known(name: str, flag: Any) -> bool:
    """The flag as a bool. Raises ValueError for a traced value or a string."""
    if isinstance(flag, str):
        raise ValueError(f"{name}: expected True, False or None, got {flag!r}")
    try:
        return bool(flag)
    except jax.errors.TracerBoolConversionError:
        raise ValueError(
            f"{name}: expected True, False or None, got a traced value, as in nn.remat or nn.jit: {INSTEAD[name]}"
        ) from None


def is_deterministic(module: nn.Module, deterministic: bool | None) -> bool:
    """Whether no masks are drawn: the flag or, if it is None, whether there is no "dropout" rng."""
    return not module.has_rng("dropout") if deterministic is None else known("deterministic", deterministic)


def check_linen(name: str, layer: Any) -> None:
    """Raises TypeError unless it is a Linen module: a Linen model would not see the weights of an NNX layer."""
    if not isinstance(layer, nn.Module):
        kind = type(layer)
        raise TypeError(f"{name}: expected a flax.linen module, got {kind.__module__}.{kind.__name__}")


def check_causal(recurrent: Any, name: str = "recurrent") -> None:
    """Raises ValueError for layers with outputs that depend on later steps, and as `check_linen`."""
    check_linen(name, recurrent)
    if not getattr(recurrent, "causal", True):
        kind = type(recurrent).__name__
        raise ValueError(f"{name}: expected causal layers, got one that depends on later steps ({kind})")


def check_separate(what: str, layers: Sequence[nn.Module]) -> None:
    """Raises ValueError for a layer object used twice, which would share its weights, and as `check_linen`."""
    for layer in layers:
        check_linen(what, layer)
    refuse_shared(what, [list(_modules(layer)) for layer in layers])


def refuse_shared(what: str, parts: Sequence[Sequence[Any]]) -> None:
    """Raises ValueError for an object that is among the parts of two layers."""
    seen: dict[int, int] = {}
    for place, own in enumerate(parts):
        for part in own:
            first = seen.setdefault(id(part), place)
            if first != place:
                raise ValueError(
                    f"{what}: expected different layer objects, got the same object in places {first} and {place}, "
                    "which would share one set of weights; create each separately: [RNN(...) for _ in range(3)]"
                )


def _modules(module: nn.Module) -> Iterator[nn.Module]:
    """The module and all modules in it."""
    yield module
    for field in dataclasses.fields(module):
        value = getattr(module, field.name, None)
        if field.name == "parent":
            continue
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, nn.Module):
                yield from _modules(part)
