"""The error of recurrences with a backward pass of their own under forward-mode differentiation."""

import contextlib
from collections.abc import Iterator

from rnnjax.compat import is_forward_mode


@contextlib.contextmanager
def reverse_mode_only(recurrence: str) -> Iterator[None]:
    """For `with` around a call of a function with a custom gradient: raises TypeError that names the alternatives."""
    try:
        yield
    except TypeError as error:
        if is_forward_mode(error):
            raise TypeError(
                f"recurrence {recurrence}(): expected reverse-mode differentiation (jax.grad, jax.jacrev, also "
                "jax.hessian), got forward mode (jax.jvp, jax.jacfwd, jax.linearize): use the recurrence Scan() or "
                "Unrolled()"
            ) from error
        raise
