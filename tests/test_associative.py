"""`Associative` and `Chunked` on linear cells: values and gradients of `Scan`, and the edges of the contract."""

import functools
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P
from linear_cells import BATCH, HIDDEN, INPUT, LINEAR_CELLS, inputs_of, linear_problem, parts
from reference import assert_close
from tables import FAST_COMPILE, make_problem, slow_unless

from rnnjax import GRU, RNN
from rnnjax.cells import LRU, MinGRU
from rnnjax.recurrences import Associative, Chunked, Noise, Recurrence, Scan

pytestmark = pytest.mark.usefixtures("quick_compile")

# Largest errors measured, over T of 17 to 1000: 1.6e-15 and 1.5e-6.
TOLERANCES = {"float64": 1e-10, "float32": 1e-5}
TIMES = (1, 2, 3, 17, 100, 1000)
CHUNKED: dict[str, Recurrence] = {
    "default": Chunked(),
    "by_1": Chunked(1, "gates"),
    "with_tail": Chunked(3, "gates"),
    "boundaries": Chunked(3, "boundaries"),
    "longer_than_time": Chunked(100, "boundaries"),
}


def weighted(values, weights):
    """A real loss that reads every number."""
    return sum(
        (leaf * weight).real.sum()
        for leaf, weight in zip(jax.tree.leaves(values), jax.tree.leaves(weights), strict=True)
    )


@functools.partial(jax.jit, static_argnums=(0, 1, 3), compiler_options=FAST_COMPILE)
def run(cell, recurrence, problem, reverse=False):
    """Outputs, final state and all states, and the gradients of all arrays."""

    def loss(arrays):
        params, inputs, start, again = arrays
        noise = None if problem.hold is None else Noise(hold={"hidden": problem.hold})
        options = {"lengths": problem.lengths, "resets": problem.resets, "reset_state": again, "noise": noise}
        values = recurrence(cell, params, inputs, start, reverse=reverse, all_states=True, **options)
        return weighted(values, problem.weights), values

    gradients, values = jax.grad(loss, has_aux=True)(problem.arrays)
    return values, gradients


def assert_same(cell, recurrence, problem, *, reverse=False, kind="float64"):
    """Values and gradients equal to those of `Scan`."""
    with jax.enable_x64(kind == "float64"):
        got, want = (run(cell, each, problem, reverse) for each in (recurrence, Scan()))
        for group, left, right in zip(("values", "gradients"), got, want, strict=True):
            assert_close(parts(left), parts(right), group, tolerance=TOLERANCES[kind], kind=kind)
    return jax.device_get(got)


@pytest.mark.parametrize(
    ("name", "hold", "reverse"),
    slow_unless(
        lambda name, hold, reverse: hold and reverse and name in ("min_gru", "lru"),
        product(LINEAR_CELLS, (False, True), (False, True)),
    ),
)
def test_every_cell_is_as_under_scan(name, hold, reverse):
    cell = LINEAR_CELLS[name]
    assert_same(cell, Associative(), linear_problem(cell, 17, hold=hold), reverse=reverse)


@pytest.mark.parametrize(
    ("name", "time", "kind"),
    slow_unless(
        lambda name, time, kind: kind == "float64" and time in ((1, 3, 1000) if name == "min_gru" else (17,)),
        product(("min_gru", "lru"), TIMES, TOLERANCES),
    ),
)
def test_every_length_is_as_under_scan(name, time, kind):
    cell = LINEAR_CELLS[name]
    problem = linear_problem(cell, time, dtype=np.dtype(kind), hold=time == 3)
    assert_same(cell, Associative(), problem, reverse=time % 2 == 0, kind=kind)


@pytest.mark.parametrize(
    ("recurrence", "reverse"),
    slow_unless(
        lambda name, reverse: (name, reverse) in [("default", False), ("with_tail", True), ("boundaries", True)],
        product(CHUNKED, (False, True)),
    ),
)
def test_chunked_is_as_under_scan(recurrence, reverse):
    cell = LRU()
    assert_same(cell, CHUNKED[recurrence], linear_problem(cell, 8, hold=True), reverse=reverse)


@pytest.mark.parametrize("recurrence", [Associative(), Chunked(3)], ids=["associative", "chunked"])
def test_nan_in_the_padding_reaches_nothing(recurrence):
    cell = LRU()
    problem = linear_problem(cell, 8)
    padded = np.arange(8)[:, None] >= problem.lengths
    params, inputs, start, again = problem.arrays
    inputs = np.where(padded[..., None], np.nan, inputs)
    poisoned = problem._replace(arrays=(params, inputs, start, again))
    (outputs, final, states), gradients = assert_same(cell, recurrence, poisoned)
    assert not outputs[padded].any()
    assert not gradients[1][padded].any()
    # The empty sequence: all of its states are its initial one, bit for bit.
    np.testing.assert_array_equal(final.hidden[1], start.hidden[1])
    np.testing.assert_array_equal(states.hidden[:, 1], np.broadcast_to(start.hidden[1], states.hidden[:, 1].shape))


def test_no_step_gives_no_output_and_the_initial_state():
    params, inputs, start, _ = linear_problem(LRU(), 0, dtype=np.float32).arrays
    outputs, final = Associative()(LRU(), params, jnp.asarray(inputs), start)
    assert outputs.shape == (0, BATCH, INPUT)
    np.testing.assert_array_equal(final.hidden, start.hidden)


def test_units_that_are_held_keep_their_state():
    cell, time = MinGRU(), 6
    problem = linear_problem(cell, time)
    held = np.zeros((time, BATCH, HIDDEN), bool)
    held[2:5, :, 1] = True
    problem = problem._replace(hold=held, resets=np.zeros_like(problem.resets), lengths=np.full(BATCH, time, np.int32))
    (_, _, states), _ = assert_same(cell, Associative(), problem)
    np.testing.assert_array_equal(states.hidden[2:5, :, 1], np.broadcast_to(states.hidden[1, :, 1], (3, BATCH)))
    assert np.abs(states.hidden[2, :, 0] - states.hidden[1, :, 0]).min() > 1e-6


def test_other_cells_are_refused():
    problem, cell = make_problem(GRU()), GRU()
    with pytest.raises(ValueError, match="Associative: expected a LinearCell, got GRU; use Scan, Unrolled or Chunked"):
        Associative()(cell, problem.params, jnp.asarray(problem.inputs), problem.state)


def gradient(recurrence, cell):
    """The gradient of all arrays, as a function of them."""

    def loss(params, inputs, start):
        outputs, final = recurrence(cell, params, inputs, start)
        return (outputs**2).sum() + (jnp.abs(final.hidden) ** 2).sum()

    return jax.grad(loss, argnums=(0, 1, 2))


def test_under_vmap_and_shard_map():
    cell = MinGRU()
    params, inputs, start, _ = jax.tree.map(jnp.asarray, linear_problem(cell, 7, dtype=np.float32).arrays)
    inputs, start = inputs[:, :4], jax.tree.map(lambda leaf: leaf[:4], start)
    want = jax.jit(gradient(Scan(), cell))(params, inputs, start)
    one = gradient(Associative(), cell)
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    mapped = jax.jit(jax.vmap(one, in_axes=(0, None, None)))(both, inputs, start)
    assert_close(jax.tree.map(lambda leaf: leaf[0], mapped), want, "gradients", tolerance=TOLERANCES["float32"])
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = (P(), P(None, "rows"), P("rows"))
    sharded = jax.jit(jax.shard_map(one, mesh=mesh, in_specs=rows, out_specs=rows))(params, inputs, start)
    assert_close(sharded, want, "gradients", tolerance=TOLERANCES["float32"])


def test_forward_mode_and_second_derivatives():
    cell = LRU()
    params, inputs, start, _ = jax.tree.map(jnp.asarray, linear_problem(cell, 5, dtype=np.float32).arrays)
    direction = jnp.ones_like(inputs)

    def second(recurrence):
        slopes = lambda x: gradient(recurrence, cell)(params, x, start)[1]  # noqa: E731
        return jax.jit(lambda x: jax.jvp(slopes, (x,), (direction,))[1])(inputs)

    assert_close(second(Associative()), second(Scan()), "gradients", tolerance=TOLERANCES["float32"])


@pytest.mark.quick("lru")
@pytest.mark.parametrize("name", LINEAR_CELLS)
def test_a_layer_trains_with_zoneout_and_refuses_masks_of_a_kernel_that_is_not_there(name):
    cell = LINEAR_CELLS[name]
    inputs = jax.random.normal(jax.random.key(0), (BATCH, 6, inputs_of(cell)))
    lengths, key = jnp.array([6, 0, 1, 4, 6]), jax.random.key(2)

    def outputs(recurrence, **options):
        layer = RNN(cell, HIDDEN, recurrence, zoneout=0.3, learn_initial_state=True, **options)
        variables = layer.init(jax.random.key(1), inputs)
        return layer.apply(variables, inputs, lengths=lengths, rngs={"dropout": key})

    got, want = (jax.jit(outputs, static_argnums=0)(each) for each in (Associative(), Scan()))
    assert_close(parts(got), parts(want), "values", tolerance=TOLERANCES["float32"])
    with pytest.raises(ValueError, match="weight_dropout: expected a cell with a recurrent map, got"):
        outputs(Scan(), weight_dropout=0.5)
    with pytest.raises(TypeError, match="state_dropout: expected a PointwiseCell, got"):
        outputs(Scan(), state_dropout=0.5)
