"""Maps of cells: their products, transposes and gradients, and kernels that are functions of other parameters."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE
from reference import assert_close
from tables import WIDE, Problem, assert_runs_close, make_problem, run, run_wide

from rnnjax import (
    GRU,
    LSTM,
    RNN,
    Antisymmetric,
    BlockDiagonal,
    Chunked,
    Conv,
    Dense,
    Elman,
    Map,
    Orthogonal,
    Scan,
    Unrolled,
    WeightNorm,
)
from rnnjax.initializers import glorot_uniform, orthogonal

pytestmark = pytest.mark.usefixtures("quick_compile")

KEY = jax.random.key(0)
# Largest error of a convolution's gradients measured on a CPU: 4e-7.
TOLERANCE = 2e-6

# A map, the features that it reads and gives.
MAPS: dict[str, tuple[Map, tuple[int, ...], tuple[int, ...]]] = {
    "dense": (Dense(), (3,), (4,)),
    "block_diagonal": (BlockDiagonal(2), (6,), (4,)),
    "conv_1d": (Conv((3,)), (5, 3), (5, 2)),
    "conv_2d": (Conv((2, 3)), (3, 4, 2), (3, 4, 3)),
    "conv_3d": (Conv((1, 3, 2)), (2, 3, 2, 1), (2, 3, 2, 2)),
}
every_map = pytest.mark.parametrize("name", MAPS)


def case(name: str, gates: int = 3) -> Any:
    """The map, its random kernel, inputs `(2, 3, *features)` and a cotangent."""
    linear, inputs, outputs = MAPS[name]
    keys = jax.random.split(KEY, 3)
    kernel = jax.random.normal(keys[0], linear.kernel_shape(inputs, outputs, gates))
    x = jax.random.normal(keys[1], (2, 3, *inputs))
    cotangent = jax.random.normal(keys[2], (2, 3, *outputs[:-1], gates * outputs[-1]))
    return linear, kernel, x, cotangent


def by_hand(name: str, kernel: Any, x: Any, gates: int) -> np.ndarray:
    """The product in float64 with loops."""
    kernel, x = np.float64(kernel), np.float64(x)
    linear, _, outputs = MAPS[name]
    if isinstance(linear, Dense):
        return x @ kernel
    if isinstance(linear, BlockDiagonal):
        own, width = outputs[0] // linear.heads, gates * outputs[0]
        result = np.zeros((*x.shape[:-1], width))
        for head, gate in itertools.product(range(linear.heads), range(gates)):
            rows = x[..., head * kernel.shape[1] : (head + 1) * kernel.shape[1]]
            start = gate * outputs[0] + head * own
            result[..., start : start + own] = rows @ kernel[head][:, gate * own : (gate + 1) * own]
        return result
    assert isinstance(linear, Conv)
    window, spatial = linear.window, x.shape[2:-1]
    result = np.zeros((*x.shape[:-1], kernel.shape[-1]))
    for place in np.ndindex(*spatial):
        for offset in np.ndindex(*window):
            read = tuple(p + o - (size - 1) // 2 for p, o, size in zip(place, offset, window, strict=True))
            if all(0 <= r < size for r, size in zip(read, spatial, strict=True)):
                result[(slice(None), slice(None), *place)] += x[(slice(None), slice(None), *read)] @ kernel[offset]
    return result


@every_map
def test_the_product_is_that_of_loops(name):
    linear, kernel, x, _ = case(name)
    assert_close(linear.product(kernel, x, 3), by_hand(name, kernel, x, 3), "maps", tolerance=TOLERANCE, kind="float32")


@every_map
def test_transpose_and_pullback_are_the_derivatives(name):
    linear, kernel, x, cotangent = case(name)
    _, pull = jax.vjp(lambda kernel, x: linear.product(kernel, x, 3), kernel, x)
    want_kernel, want_x = pull(cotangent)
    got = linear.pullback(kernel, x, cotangent, 3)
    bias = cotangent.sum(axis=range(cotangent.ndim - 1))
    assert_close((got.kernel, got.bias), (want_kernel, bias), "maps", tolerance=TOLERANCE, kind="float32")
    features = x.shape[2:]
    transposed = linear.transpose(kernel, features, 3)
    assert_close(transposed(cotangent), want_x, "maps", tolerance=TOLERANCE, kind="float32")
    # And what a map of one's own inherits.
    assert_close(Map.transpose(linear, kernel, features, 3)(cotangent), want_x, "maps", tolerance=TOLERANCE, kind="f")
    inherited = Map.pullback(linear, kernel, x, cotangent, 3)
    assert_close((inherited.kernel, inherited.bias), (want_kernel, bias), "maps", tolerance=TOLERANCE, kind="float32")


@every_map
def test_sums_of_a_bfloat16_kernels_gradient_are_float32(name):
    linear, kernel, x, cotangent = jax.tree.map(
        lambda leaf: leaf.astype(jnp.bfloat16) if isinstance(leaf, jax.Array) else leaf, case(name)
    )
    got = linear.pullback(kernel, x, cotangent, 3)
    assert {got.kernel.dtype, got.bias.dtype} == {jnp.dtype(jnp.float32)}
    assert linear.transpose(kernel, x.shape[2:], 3)(cotangent).dtype == jnp.bfloat16


@every_map
def test_a_kernel_drawn_gate_by_gate_has_blocks_of_its_own(name):
    linear, inputs, outputs = MAPS[name]
    together, apart = (
        linear.init(KEY, inputs, outputs, 3, glorot_uniform, per_gate=per_gate) for per_gate in (False, True)
    )
    assert together.shape == apart.shape == linear.kernel_shape(inputs, outputs, 3)
    one = linear.init(jax.random.split(KEY, 3)[1], inputs, outputs, 1, glorot_uniform)
    width = outputs[-1] if name != "block_diagonal" else outputs[-1] // 2
    if name != "block_diagonal":
        np.testing.assert_array_equal(apart[..., width : 2 * width], one)
    assert np.abs(apart - together).max() > 0.1


def test_heads_start_orthogonal_each_for_itself():
    kernel = BlockDiagonal(2).init(KEY, (8,), (8,), 3, orthogonal, per_gate=True)
    for head, gate in itertools.product(range(2), range(3)):
        block = np.asarray(kernel[head][:, 4 * gate : 4 * gate + 4])
        np.testing.assert_allclose(block.T @ block, np.eye(4), atol=1e-6)


# Cells over other maps than matrices, and the sizes of inputs and state.
OVER_MAPS: dict[str, tuple[Any, Any, Any]] = {
    "heads": (LSTM(input_map=BlockDiagonal(2), recurrent_map=BlockDiagonal(2)), 6, 4),
    "recurrent_heads": (GRU(recurrent_map=BlockDiagonal(2)), 3, 4),
    "conv_1d": (GRU(input_map=Conv((3,)), recurrent_map=Conv((2,))), (5, 3), (5, 2)),
    "conv_2d": (LSTM(input_map=Conv((3, 2)), recurrent_map=Conv((2, 3))), (3, 4, 2), (3, 4, 2)),
    "conv_3d": (Elman(input_map=Conv((1, 2, 2)), recurrent_map=Conv((2, 2, 1))), (2, 3, 2, 1), (2, 3, 2, 2)),
    "weight_norm": (LSTM(input_map=Dense(WeightNorm()), recurrent_map=Dense(WeightNorm())), 3, 4),
    "orthogonal": (Elman(recurrent_map=Dense(Orthogonal())), 3, 4),
    "orthogonal_gates": (GRU(recurrent_map=Dense(Orthogonal())), 3, 4),
    "antisymmetric": (Elman(recurrent_map=Dense(Antisymmetric())), 3, 4),
    "no_recurrent_map": (GRU(recurrent_map=None), 3, 4),
}


def problem_over(name: str) -> tuple[Any, Problem]:
    cell, *sizes = OVER_MAPS[name]
    return cell, make_problem(cell, "lengths_and_resets", sizes=tuple(sizes))


# A map knows of no direction: one has both, and one is compiled as users have it.
OVER_RECURRENCES = [
    *(pytest.param(name, True, run_wide, WIDE, id=name) for name in OVER_MAPS),
    pytest.param("conv_1d", False, run_wide, WIDE, id="conv_1d-forward"),
    pytest.param("heads", True, run, {}, id="heads-float32"),
]


@pytest.mark.quick("conv_2d", "heads", "weight_norm")
@pytest.mark.parametrize(("name", "reverse", "run", "close"), OVER_RECURRENCES)
def test_every_recurrence_gives_equal_numbers_over_every_map(name, reverse, run, close):
    cell, problem = problem_over(name)
    want = run(cell, Scan(), problem, reverse=reverse)
    assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(want[1][0]))
    for recurrence in (Unrolled(), Chunked(3, "gates"), Chunked(3, "boundaries")):
        assert_runs_close(run(cell, recurrence, problem, reverse=reverse), want, **close)


def test_a_cell_of_heads_is_the_matrix_with_blocks_on_its_diagonal():
    cell, problem = problem_over("heads")
    linear: Any = cell.recurrent_map
    params = jax.tree.map(jnp.asarray, problem.params)
    # Each unit vector in turn gives a row of the whole matrix.
    full = params._replace(
        input=params.input._replace(kernel=linear.product(params.input.kernel, jnp.eye(6), 4)),
        recurrent=params.recurrent._replace(kernel=linear.product(params.recurrent.kernel, jnp.eye(4), 4)),
    )
    assert (np.asarray(full.recurrent.kernel) == 0).mean() == 0.5
    arguments = jax.tree.map(jnp.asarray, (problem.inputs, problem.state))
    assert_close(Scan()(cell, params, *arguments), Scan()(LSTM(), full, *arguments), "values")


def test_parametrized_kernels_are_what_they_say_after_any_update():
    random = np.random.default_rng(0)
    for cell in (Elman(recurrent_map=Dense(Orthogonal())), GRU(recurrent_map=Dense(Orthogonal()))):
        params = cell.init_params(KEY, 3, 5)
        moved = jax.tree.map(lambda leaf: leaf + random.normal(size=leaf.shape).astype(np.float32), params)
        for each in (params, moved):
            plain, effective = cell.effective(each)
            assert plain.recurrent_map == Dense()
            for block in np.split(np.float64(effective.recurrent.kernel), cell.gates, axis=1):
                np.testing.assert_allclose(block.T @ block, np.eye(5), atol=3e-6)
        assert (
            np.abs(cell.effective(moved)[1].recurrent.kernel - cell.effective(params)[1].recurrent.kernel).max() > 0.1
        )
    cell = Elman(recurrent_map=Dense(Antisymmetric(0.25)))
    kernel = np.asarray(cell.effective(cell.init_params(KEY, 3, 5))[1].recurrent.kernel)
    np.testing.assert_allclose(kernel + kernel.T, -0.5 * np.eye(5), atol=1e-6)
    assert np.abs(kernel - kernel.T).max() > 0.1


def test_weight_norm_starts_as_the_kernel_and_its_gain_is_the_norm():
    plain, normed = LSTM(), LSTM(input_map=Dense(WeightNorm()), recurrent_map=Dense(WeightNorm()))
    want, params = (cell.init_params(KEY, 3, 4) for cell in (plain, normed))
    assert_close(normed.effective(params)[1], want, "values")
    doubled = params._replace(input=params.input._replace(kernel=params.input.kernel._replace(gain=2 * jnp.ones(16))))
    kernel = normed.effective(doubled)[1].input.kernel
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 2, rtol=1e-6)


@pytest.mark.quick("weight_norm", "conv_2d")
@pytest.mark.parametrize("name", ["orthogonal", "weight_norm", "conv_2d"])
def test_a_layer_over_any_map_trains_under_names_that_can_be_read(name):
    cell, size, hidden = OVER_MAPS[name]
    layer = RNN(cell, hidden)
    inputs = jax.random.normal(KEY, (2, 4, *(size if isinstance(size, tuple) else (size,))))
    variables: Any = layer.init(KEY, inputs)
    names = {"/".join(key.key for key in path) for path, _ in jax.tree_util.tree_leaves_with_path(variables["params"])}
    kernel = {
        "orthogonal": {"cell/recurrent/kernel"},
        "weight_norm": {"cell/recurrent/kernel/direction", "cell/recurrent/kernel/gain"},
        "conv_2d": {"cell/recurrent/kernel", "cell/input/kernel"},
    }[name]
    assert kernel < names

    @functools.partial(jax.jit, compiler_options=FAST_COMPILE)
    def loss_and_gradient(variables):
        return jax.value_and_grad(lambda variables: (layer.apply(variables, inputs)[0] ** 2).sum())(variables)

    loss, gradient = loss_and_gradient(variables)
    moved = jax.tree.map(lambda leaf, d: leaf - 1e-2 * d, variables, gradient)
    assert loss_and_gradient(moved)[0] < loss


REFUSED = {
    "heads": (lambda: BlockDiagonal(3).kernel_shape((6,), (4,), 1), r"divisible by 3 heads, got \(6,\) to \(4,\)"),
    "no_heads": (lambda: BlockDiagonal(0), "heads: expected at least 1, got 0"),
    "axes": (lambda: Dense().kernel_shape((2, 3), (4,), 1), r"Dense: expected one feature axis, got \(2, 3\)"),
    "window": (lambda: Conv((1, 2, 3, 4)), r"window: expected 1 to 3 sizes of at least 1, got \(1, 2, 3, 4\)"),
    "empty_window": (lambda: Conv((0,)), r"window: expected 1 to 3 sizes of at least 1, got \(0,\)"),
    "places": (
        lambda: Conv((3,)).kernel_shape((5, 3), (6, 2), 1),
        r"Conv: expected inputs with the spatial axes \(6,\) of the state and channels, got \(5, 3\)",
    ),
    "square": (
        lambda: Dense(Orthogonal()).init(KEY, (3,), (4,), 2, orthogonal),
        r"Orthogonal: expected a kernel of 2 square blocks, got shape \(3, 8\)",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_a_map_cannot_take_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.usefixtures("without_annotation_checks")
def test_a_field_that_is_an_array_is_refused_under_every_recurrence():
    problem = make_problem(LSTM())
    for recurrence in (Scan(), Unrolled(), Chunked(3)):
        with pytest.raises(TypeError, match="LSTM: expected a hashable cell, got an array"):
            jax.jit(
                lambda bias, recurrence=recurrence: recurrence(
                    LSTM(forget_bias=bias), problem.params, problem.inputs, problem.state
                )
            )(jnp.float32(1.0))
