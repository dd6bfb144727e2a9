"""Parts of an optimizer state that wait for the validation loss: `plateau`, `average_start`."""

from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import jax

Part = TypeVar("Part")


@runtime_checkable
class Validated(Protocol):
    """A part of an optimizer state that a validation changes."""

    def validated(self, loss: float) -> Self:
        """The part after a validation, from arrays on the host."""
        ...


def after_validation(optimizer_state: Any, loss: float) -> Any:
    """The optimizer state after a validation with this loss; unchanged without a part that waits for it."""

    def leaf(part: Any) -> Any:
        if not isinstance(part, Validated):
            return part
        # Computed on the host, alike in all processes, and put where it was.
        after = jax.device_get(jax.device_get(part).validated(loss))
        return jax.tree.map(lambda value, old: jax.device_put(value, old.sharding), after, part)

    return jax.tree.map(leaf, optimizer_state, is_leaf=lambda part: isinstance(part, Validated))


def found(kind: type[Part], optimizer_state: Any) -> list[Part]:
    """The parts of this kind in an optimizer state."""
    leaves = jax.tree.leaves(optimizer_state, is_leaf=lambda part: isinstance(part, kind))
    return [part for part in leaves if isinstance(part, kind)]


def check_unvalidated(optimizer_state: Any, where: str) -> None:
    """Raises ValueError for a part that waits for the validation loss, in a loop that does not tell it."""
    for part in found(Validated, optimizer_state):
        kind = type(part).__name__
        raise ValueError(f"optimizer: expected one that needs no validation loss for {where}, got one with {kind}")
