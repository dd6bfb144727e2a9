"""Arrays of a state keep the dtype and shape that the cell gives them."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables import HIDDEN, INPUT

from rnnjax import Chunked, Recurrence, Scan, Unrolled
from rnnjax.cells.cell import PointwiseCell

pytestmark = pytest.mark.usefixtures("quick_compile")

# More steps than a sum of equal parts can count in bfloat16 (256) or in float16 (2,048).
TIME, BATCH = 2_500, 2
RECURRENCES: dict[str, Recurrence] = {
    "scan": Scan(),
    "gates": Chunked(keep="gates"),
    "boundaries": Chunked(keep="boundaries"),
}


class CountingState(NamedTuple):
    """One array of every kind, and of other shapes than the hidden one."""

    hidden: jax.Array
    steps: jax.Array  # (B,) int32
    seen: jax.Array  # (B, H, 2) bool
    total: jax.Array  # (B, H) float32
    phase: jax.Array  # (B, H) complex64


@dataclasses.dataclass(frozen=True)
class Counting(PointwiseCell):
    """A cell whose state is not of one dtype: it counts, sums in float32 and turns a phase."""

    @property
    def gates(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        return 2

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        return CountingState(
            jnp.zeros((batch_size, hidden_size), dtype),
            jnp.zeros(batch_size, jnp.int32),
            jnp.zeros((batch_size, hidden_size, 2), bool),
            jnp.zeros((batch_size, hidden_size), jnp.float32),
            jnp.ones((batch_size, hidden_size), jnp.complex64),
        )

    def update(self, extras, inputs, recurrent, state):
        g, c = jnp.split(inputs + recurrent, 2, axis=-1)
        phase = 0.5 * state.phase * jnp.exp(1j * jax.nn.tanh(g).astype(jnp.float32))  # forgets: no chaos
        hidden = jnp.tanh(c + phase.imag + state.steps[:, None] / 1_000)
        seen = state.seen | (jnp.stack([c, -c], axis=-1) > 0)
        return CountingState(hidden, state.steps + 1, seen, state.total + 1e-3, phase)


def count(recurrence: Recurrence, dtype: Any, time: int) -> Any:
    cell = Counting()
    random = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf.astype(jnp.bfloat16).astype(dtype), cell.init_params(jax.random.key(0), INPUT, HIDDEN)
    )
    inputs = jnp.asarray(random.normal(size=(time, 3, INPUT)), dtype)
    lengths = jnp.array([time, 1, time - 1])
    resets = jnp.zeros((time, 3), bool).at[time // 2, 2].set(True)
    start = cell.init_state(3, HIDDEN, dtype)
    start = start._replace(steps=jnp.array([5, 6, 7], jnp.int32), phase=start.phase * 1j)

    def loss(params, inputs, phase):
        values = recurrence(cell, params, inputs, start._replace(phase=phase), lengths=lengths, resets=resets)
        outputs, final = values
        return (outputs.astype(jnp.float32) ** 2).sum() + (final.phase.imag * 3).sum() + final.total.sum(), values

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(params, inputs, start.phase)


@pytest.mark.quick("*boundaries*bfloat16")
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("recurrence", [Scan(), Chunked(7, "gates"), Chunked(7, "boundaries")], ids=str)
def test_arrays_of_a_state_keep_the_dtype_and_shape_that_the_cell_gives(recurrence, dtype):
    time = 1_200
    (_, (outputs, final)), gradients = count(recurrence, dtype, time)
    assert outputs.dtype == dtype
    like = Counting().init_state(3, HIDDEN, dtype)
    assert [leaf.dtype for leaf in final] == [leaf.dtype for leaf in like]
    assert final.steps.tolist() == [time + 5, 7, time - 1 - time // 2]
    np.testing.assert_allclose(final.total[:, 0], [1.2, 0.001, 0.001 * (time - 1 - time // 2)], rtol=1e-4)
    assert final.seen.any()
    (_, (want, want_final)), want_gradients = count(Scan(), jnp.float32, time)
    tolerance = 1e-5 if dtype == jnp.float32 else 0.05  # measured: 5e-7 and 7e-3
    for got, exact in ((outputs, want), (final.phase, want_final.phase), (gradients, want_gradients)):
        for left, right in zip(jax.tree.leaves(got), jax.tree.leaves(exact), strict=True):
            left, right = np.asarray(left, np.complex128), np.asarray(right, np.complex128)
            assert np.linalg.norm(left - right) < tolerance * np.linalg.norm(right)


@pytest.mark.slow
def test_an_unrolled_loop_keeps_them_too():
    got, want = (count(recurrence, jnp.bfloat16, 9) for recurrence in (Unrolled(), Scan()))
    for left, right in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_allclose(
            np.asarray(left, np.complex128), np.asarray(right, np.complex128), rtol=2e-2, atol=2e-2
        )


@pytest.mark.parametrize("field", ["steps", "seen", "total"])
def test_a_state_of_numbers_that_a_field_cannot_hold_is_refused(field):
    cell = Counting()
    state = cell.init_state(2, HIDDEN)
    wide = {"steps": jnp.float32, "seen": jnp.int32, "total": jnp.complex64}[field]
    state = state._replace(**{field: getattr(state, field).astype(wide)})
    params = cell.init_params(jax.random.key(0), INPUT, HIDDEN)
    with pytest.raises(ValueError, match=rf"initial_state.{field}: expected \w+, got {np.dtype(wide).name}"):
        Scan()(cell, params, jnp.zeros((3, 2, INPUT)), state)
