"""Linear cells and `Newton` in the modes of JAX: symbolic shapes, strict promotion, NaN checks, empty batches.

Their copies are in `test_pickling.py`; `Newton` under transformations is in `test_transformations.py`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE
from jax import export
from linear_cells import LINEAR_CELLS, parts
from reference import assert_close
from tables import slow_unless

from rnnjax import GRU, LRU, RNN, Associative, Chunked, MinGRU, Newton, ParaGRU, ParaLSTM, Recurrence

pytestmark = pytest.mark.usefixtures("quick_compile")

BATCH, TIME, HIDDEN = 4, 6, 4
INPUTS = np.random.default_rng(0).normal(size=(BATCH, TIME, HIDDEN)).astype(np.float32)
LENGTHS = np.array([TIME, 0, 1, 4], np.int32)
RESETS = np.zeros((BATCH, TIME), bool)
RESETS[0, 2] = True
PAIRS: dict[str, tuple[Any, Recurrence]] = {
    **{name: (cell, Associative()) for name, cell in LINEAR_CELLS.items()},
    "lru_chunked": (LRU(), Chunked(4, "boundaries")),
    "para_gru": (ParaGRU(), Newton()),
    "para_lstm": (ParaLSTM(), Newton(damping=0.2)),
    "gru": (GRU(), Newton(method="diagonal")),
    "min_gru_newton": (MinGRU(), Newton()),
}
# Largest error measured: 4.6e-7.
FLOAT32_TOLERANCE = 5e-6
pairs = pytest.mark.parametrize("name", PAIRS)


def layer_of(name: str, **options: Any) -> RNN:
    return RNN(PAIRS[name][0], HIDDEN, PAIRS[name][1], zoneout=0.2, learn_initial_state=True, **options)


def loss_of(layer: Any) -> Any:
    def loss(variables: Any, inputs: Any, lengths: Any = None, resets: Any = None) -> Any:
        outputs, final = layer.apply(variables, inputs, None, lengths, resets)
        return (outputs.astype(jnp.float32) ** 2).sum() + sum(
            (jnp.abs(leaf).astype(jnp.float32) ** 2).sum() for leaf in final
        )

    return loss


@pytest.mark.parametrize(
    ("check", "dtype", "name"),
    slow_unless(
        lambda check, dtype, name: (
            (check, dtype, name) in [("rank", "float32", "lru"), ("dtype", "bfloat16", "lru")]
            or (check, dtype, name) in [("dtype", "bfloat16", "min_gru"), ("dtype", "bfloat16", "para_lstm")]
        ),
        [(check, dtype, name) for check in ("rank", "dtype") for dtype in ("bfloat16", "float32") for name in PAIRS],
    ),
)
def test_strict_promotion_changes_nothing(check, dtype, name):
    layer = layer_of(name, dtype=jnp.dtype(dtype))
    variables = layer.init(jax.random.key(0), INPUTS)
    program: Any = jax.jit(jax.grad(loss_of(layer)))
    plain = program.lower(variables, INPUTS, LENGTHS, RESETS).as_text()
    program.clear_cache()
    strict = jax.numpy_rank_promotion("raise") if check == "rank" else jax.numpy_dtype_promotion("strict")
    with strict:
        assert program.lower(variables, INPUTS, LENGTHS, RESETS).as_text() == plain


@pytest.mark.quick("lru", "para_gru")
@pairs
def test_a_batch_of_nothing_has_gradients_of_zero(name):
    layer = layer_of(name)
    variables = layer.init(jax.random.key(0), INPUTS)
    program = jax.jit(jax.value_and_grad(loss_of(layer)), compiler_options=FAST_COMPILE)
    value, gradients = program(variables, INPUTS[:0], LENGTHS[:0])
    assert float(value) == 0
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(gradients))


@pytest.mark.slow
@pairs
def test_debug_nans_finds_none_where_there_is_none(name):
    layer = layer_of(name)
    variables = layer.init(jax.random.key(0), INPUTS)
    program = jax.jit(jax.grad(loss_of(layer)))
    with jax.debug_nans(True):
        got = program(variables, INPUTS, LENGTHS, RESETS)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(got))


@pytest.mark.usefixtures("without_annotation_checks")  # a symbolic size is no int
@pytest.mark.quick("lru", "para_gru")
@pairs
def test_export_with_a_batch_that_is_not_known(name):
    layer = layer_of(name)
    variables = layer.init(jax.random.key(0), INPUTS)
    shape = jax.ShapeDtypeStruct(export.symbolic_shape(f"b, {TIME}, {HIDDEN}"), jnp.float32)
    gradient = jax.jit(jax.grad(loss_of(layer)), compiler_options=FAST_COMPILE)
    exported = export.export(gradient)(variables, shape)
    got, want = exported.call(variables, INPUTS[:3]), gradient(variables, INPUTS[:3])
    assert_close(parts(got), parts(want), "gradients", tolerance=FLOAT32_TOLERANCE)


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize("name", ["lru", "para_gru"])
def test_a_number_of_steps_that_is_not_known_is_refused(name):
    layer = layer_of(name)
    variables = layer.init(jax.random.key(0), INPUTS)
    shape = jax.ShapeDtypeStruct(export.symbolic_shape(f"{BATCH}, t, {HIDDEN}"), jnp.float32)
    kind = type(PAIRS[name][1]).__name__
    with pytest.raises(ValueError, match=f"{kind}: expected a fixed number of steps, got T = t; use Scan or Chunked"):
        export.export(jax.jit(loss_of(layer)))(variables, shape)
