"""Loops over chunks of time steps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Walk(NamedTuple):
    """The order of a loop over chunks of `size` steps; the remainder is a shorter last chunk.

    `size` is below the number of steps, or None for one chunk of all steps.
    """

    size: int | None
    reverse: bool

    def over(self, chunk: Callable, carry: Any, steps: Any, each: Any = None) -> tuple[Any, Any, Any]:
        """`lax.scan` of `chunk(carry, steps of the chunk, its entry of each) -> (carry, steps out, one out)`.

        `steps` and `steps out` are trees of arrays with the time axis first; `each` and `one out` have one entry per
        chunk.
        """
        if self.size is None:
            carry, many, one = chunk(carry, steps, jax.tree.map(lambda leaf: leaf[0], each))
            return carry, many, jax.tree.map(lambda leaf: leaf[None], one)
        time = jax.tree.leaves(steps)[0].shape[0]
        count, left = divmod(time, self.size)
        whole = count * self.size

        def body(carry: Any, xs: Any) -> tuple[Any, Any]:
            carry, many, one = chunk(carry, *xs)
            return carry, (many, one)

        split = jax.tree.map(lambda leaf: leaf[:whole].reshape(count, self.size, *leaf.shape[1:]), steps)
        rest = jax.tree.map(lambda leaf: leaf[whole:], steps)
        last = None
        if left and self.reverse:
            carry, last = body(carry, (rest, jax.tree.map(lambda leaf: leaf[count], each)))
        carry, (many, one) = jax.lax.scan(
            body, carry, (split, jax.tree.map(lambda leaf: leaf[:count], each)), length=count, reverse=self.reverse
        )
        many = jax.tree.map(lambda leaf: leaf.reshape(whole, *leaf.shape[2:]), many)
        if left and not self.reverse:
            carry, last = body(carry, (rest, jax.tree.map(lambda leaf: leaf[count], each)))
        if last is not None:
            many = jax.tree.map(lambda first, then: jnp.concatenate([first, then]), many, last[0])
            one = jax.tree.map(lambda first, then: jnp.concatenate([first, then[None]]), one, last[1])
        return carry, many, one
