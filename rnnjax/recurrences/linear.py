"""Linear recurrences `s_t = A_t s_{t-1} + b_t`, solved for all steps at once by an associative scan.

Vectors are `(B, M)` and matrices `(B, M, M)`; or, with one small matrix for each unit, `(B, M, *hidden)` and
`(B, M, M, *hidden)`. A step axis comes before these.
"""

import jax
import jax.numpy as jnp


def solve_linear(matrices: jax.Array, vectors: jax.Array, *, reverse: bool = False) -> jax.Array:
    """`s_t` of all steps from `A (T, B, M, M, ..)` and `b (T, B, M, ..)`, where `s_{-1}` is 0.

    With `reverse`, `s_t = A_t s_{t+1} + b_t`, where `s_T` is 0. Source of the scan: Blelloch 1990, "Prefix Sums and
    Their Applications".
    """

    def combine(first: tuple[jax.Array, jax.Array], then: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return jax.vmap(_product)(then[0], first[0]), jax.vmap(_apply)(then[0], first[1]) + then[1]

    return jax.lax.associative_scan(combine, (matrices, vectors), reverse=reverse)[1]


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
