"""How modules are run: in training or not, in which direction; and what one asks of those within it."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax


@jax.tree_util.register_static
class Static(int):
    """A bool that stays one inside `nn.remat` and other transformations, which trace plain bools given by keyword.

    For what a container tells the layers in it, which may be transformed.
    """


def static(name: str, flag: bool | None) -> Static | None:
    """The flag of that name for a layer; None is left as it is."""
    return None if flag is None else Static(known(name, flag))


# What to do instead of giving a layer in `nn.remat` or `nn.jit`, which trace it, a flag by keyword.
INSTEAD = {
    "deterministic": 'leave it out and give a "dropout" rng in training only',
    "all_states": "ask the layer itself, outside of them",
    "reverse": "set it where the layer is made: RNN(cell, size, reverse=True)",
}


def known(name: str, flag: Any) -> bool:
    """The flag as a bool. Raises ValueError for one that is traced, or is text."""
    if isinstance(flag, str):
        raise ValueError(f"{name}: expected True, False or None, got {flag!r}")
    try:
        return bool(flag)
    except jax.errors.TracerBoolConversionError:
        raise ValueError(
            f"{name}: expected True, False or None, got a traced value, as in nn.remat or nn.jit: {INSTEAD[name]}"
        ) from None


def is_deterministic(module: nn.Module, deterministic: bool | None) -> bool:
    """Whether nothing is to be drawn: what the caller says; or, where that is None, no "dropout" rng being there."""
    return not module.has_rng("dropout") if deterministic is None else known("deterministic", deterministic)


def check_linen(name: str, layer: Any) -> None:
    """Raises TypeError for what is no Linen module: a Linen model would not see the weights of an NNX layer."""
    if not isinstance(layer, nn.Module):
        kind = type(layer)
        raise TypeError(f"{name}: expected a flax.linen module, got {kind.__module__}.{kind.__name__}")


def check_causal(recurrent: Any, name: str = "recurrent") -> None:
    """Raises ValueError for layers that read later steps than the one they give the output of, and as `check_linen`."""
    check_linen(name, recurrent)
    if not getattr(recurrent, "causal", True):
        kind = type(recurrent).__name__
        raise ValueError(f"{name}: expected layers that look only back, got one that reads later steps ({kind})")


def check_separate(what: str, layers: Sequence[nn.Module]) -> None:
    """Raises ValueError for one layer in two places, which would share its weights; as `check_linen`, too."""
    for layer in layers:
        check_linen(what, layer)
    refuse_shared(what, [list(_modules(layer)) for layer in layers])


def refuse_shared(what: str, parts: Sequence[Sequence[Any]]) -> None:
    """Raises ValueError for an object that is among the parts of two places."""
    seen: dict[int, int] = {}
    for place, own in enumerate(parts):
        for part in own:
            first = seen.setdefault(id(part), place)
            if first != place:
                raise ValueError(
                    f"{what}: expected a layer of its own in each place, got the same object in places {first} and "
                    f"{place}, which would share one set of weights; make each anew: [RNN(...) for _ in range(3)]"
                )


def _modules(module: nn.Module) -> Iterator[nn.Module]:
    """The module and those within it."""
    yield module
    for field in dataclasses.fields(module):
        value = getattr(module, field.name, None)
        if field.name == "parent":
            continue
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, nn.Module):
                yield from _modules(part)
