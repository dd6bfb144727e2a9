"""Linear recurrences `s_t = A_t s_{t-1} + b_t`, solved by an associative scan or step by step.

A_t has the shape of b_t, `(B, ...)`, and multiplies elementwise; or it is a matrix `(B, M, M)` for vectors `(B, M)`, or
one small matrix for each unit, `(B, M, M, *hidden)` for `(B, M, *hidden)`. A step axis comes before these.
"""

import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp

# A real array, or the real and the imaginary part of a complex one, whose products the CPU computes much faster.
Parts = tuple[jax.Array, ...]
Product = Callable[[jax.Array, jax.Array], jax.Array]


def solve_linear(matrices: jax.Array, vectors: jax.Array, *, reverse: bool = False, parallel: bool = True) -> jax.Array:
    """`s_t` of all steps, where `s_{-1}` is 0; with `reverse`, `s_t = A_t s_{t+1} + b_t`, where `s_T` is 0.

    With `parallel`, an associative scan joins the steps in a tree of depth log T. The derivative solves an equation of
    the same form, and the gradient the same with time turned around: neither stores the partial products of the scan.
    Source of the scan: Blelloch 1990, "Prefix Sums and Their Applications".
    """
    elementwise = matrices.ndim == vectors.ndim
    product, apply = (operator.mul, operator.mul) if elementwise else (_product, _apply)

    def together(first: tuple[Parts, Parts], then: tuple[Parts, Parts]) -> tuple[Parts, Parts]:
        return _times(jax.vmap(product), then[0], first[0]), _after(jax.vmap(apply), then, first[1])

    def step(state: Parts, now: tuple[Parts, Parts]) -> tuple[Parts, Parts]:
        after = _after(apply, now, state)
        return after, after

    def solve(matrices: jax.Array, vectors: jax.Array, reverse: bool) -> jax.Array:
        steps = _parts(matrices), _parts(vectors)
        if parallel:
            return _whole(jax.lax.associative_scan(together, steps, reverse=reverse)[1])
        return _whole(jax.lax.scan(step, _parts(jnp.zeros_like(vectors[0])), steps, reverse=reverse)[1])

    transposed = matrices if elementwise else jnp.swapaxes(matrices, 2, 3)
    return jax.lax.custom_linear_solve(
        lambda states: states - jax.vmap(apply)(matrices, _shifted(states, back=reverse)),
        vectors,
        lambda _, values: solve(matrices, values, reverse),
        lambda _, values: solve(_shifted(transposed, back=not reverse), values, not reverse),
    )


def identity_like(matrices: jax.Array) -> jax.Array:
    """The identity, to broadcast against `(B, M, M, ..)`."""
    eye = jnp.eye(matrices.shape[1], dtype=matrices.dtype)
    return jnp.expand_dims(eye, (0, *range(3, matrices.ndim)))


def _product(left: jax.Array, right: jax.Array) -> jax.Array:
    if left.ndim == 3:
        # By default, some accelerators multiply with fewer bits than float32 has.
        return jnp.matmul(left, right, precision="highest")
    return (left[:, :, :, None] * right[:, None]).sum(2)


def _apply(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    return (matrix * vector[:, None]).sum(2)


def _parts(array: jax.Array) -> Parts:
    return (array.real, array.imag) if jnp.iscomplexobj(array) else (array,)


def _whole(parts: Parts) -> jax.Array:
    return jax.lax.complex(*parts) if len(parts) == 2 else parts[0]


def _times(product: Product, left: Parts, right: Parts) -> Parts:
    if len(left) == 1:
        return (product(left[0], right[0]),)
    (a, b), (c, d) = left, right
    return product(a, c) - product(b, d), product(a, d) + product(b, c)


def _after(apply: Product, now: tuple[Parts, Parts], state: Parts) -> Parts:
    """`A_t s_{t-1} + b_t`."""
    return tuple(a + b for a, b in zip(_times(apply, now[0], state), now[1], strict=True))


def _shifted(values: jax.Array, *, back: bool) -> jax.Array:
    """The values one step later or, with `back`, earlier; zeros where none move in."""
    none = jnp.zeros_like(values[:1])
    return jnp.concatenate([values[1:], none] if back else [none, values[:-1]])
