"""Parameters of any float dtype train: sums, moments and averages are float32 at least."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnjax.runs import Checkpoints
from rnnjax.training import Objective, Optimizer, Position, TrainState, batch_mesh, eval_step, train_step

DTYPES = ["bfloat16", "float16", "float32", "float64"]
RANDOM = np.random.default_rng(0)
ROWS, FEATURES, OUTPUTS, STEPS = 6, 5, 3, 50
INPUTS = RANDOM.normal(size=(STEPS, ROWS, FEATURES))
TARGETS = RANDOM.normal(size=(STEPS, ROWS, OUTPUTS))
WEIGHTS = RANDOM.uniform(0.5, 1.5, (STEPS, ROWS))
INITIAL = {"kernel": RANDOM.normal(size=(FEATURES, OUTPUTS)), "bias": RANDOM.normal(size=OUTPUTS)}
RATE, CLIP, AVERAGING = 0.02, 1.0, 0.9
# Relative to an array's largest number, after 50 steps. Largest errors measured: 8e-4, 6e-4, 1.3e-5 (of the second
# moment: optax has 1 - 0.999 in float32) and 1.2e-15. Rounding of bfloat16 itself is 4e-3.
ORACLE_TOLERANCES = {"bfloat16": 2e-3, "float16": 2e-3, "float32": 2e-5, "float64": 1e-13}


def squares(params, batch, key):
    """The squared error of a linear model."""
    inputs, targets, weights = batch
    losses = ((inputs @ params["kernel"] + params["bias"] - targets) ** 2).sum(axis=1)
    return {"loss": (losses * weights).sum(), "weight": weights.sum()}


def batches(dtype):
    """Batches in what a network of this dtype computes in, float32 at least."""
    wide = np.float64 if dtype == "float64" else np.float32
    return [tuple(part[step].astype(wide) for part in (INPUTS, TARGETS, WEIGHTS)) for step in range(STEPS)]


def initial(dtype) -> Any:
    return {name: jnp.asarray(value, dtype) for name, value in INITIAL.items()}


def wide(dtype):
    return jnp.promote_types(dtype, jnp.float32)


def dtypes(tree):
    return [leaf.dtype for leaf in jax.tree.leaves(tree)]


def assert_relative(got, want, tolerance):
    for left, right in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
        np.testing.assert_allclose(left, right, rtol=0, atol=tolerance * np.abs(right).max())


def by_hand(dtype):
    """Parameters, moments, average and losses of clipped Adam in float64, where parameters alone are rounded."""
    params = {name: np.asarray(initial(dtype)[name], np.float64) for name in ("bias", "kernel")}
    average = dict(params)
    first = {name: np.zeros_like(value) for name, value in params.items()}
    second = {name: np.zeros_like(value) for name, value in params.items()}
    losses = []
    for step, (inputs, targets, weights) in enumerate(batches("float64")):
        difference = inputs @ params["kernel"] + params["bias"] - targets
        losses.append((weights @ difference**2).sum() / weights.sum())
        slope = 2 * difference * weights[:, None] / weights.sum()
        gradient = {"bias": slope.sum(axis=0), "kernel": inputs.T @ slope}
        norm = np.sqrt(sum((value**2).sum() for value in gradient.values()))
        kept = min(AVERAGING, (1 + step) / (10 + step))
        for name, value in gradient.items():
            value = value * min(1, CLIP / norm)
            first[name] = 0.9 * first[name] + 0.1 * value
            second[name] = 0.999 * second[name] + 0.001 * value**2
            mean, square = first[name] / (1 - 0.9 ** (step + 1)), second[name] / (1 - 0.999 ** (step + 1))
            moved = params[name] - RATE * mean / (np.sqrt(square) + 1e-8)
            params[name] = moved.astype(jnp.dtype(dtype)).astype(np.float64)
            average[name] = kept * average[name] + (1 - kept) * params[name]
    return params, first, second, average, losses


@pytest.mark.parametrize("dtype", DTYPES)
def test_fifty_steps_of_adam_are_those_of_numpy(dtype):
    with jax.enable_x64(dtype == "float64"):
        optimizer = Optimizer(learning_rate=RATE).transformation(STEPS)
        step = train_step(squares, optimizer, batch_mesh(2), clip=CLIP, averaging=AVERAGING)
        state = step.replicate(TrainState.create(initial(dtype), optimizer, jax.random.key(0), averaged=True))
        before, losses = dtypes(state), []
        for batch in batches(dtype):
            state, sums = step(state, batch)
            losses.append(sums["loss"] / sums["weight"])
        assert dtypes(state) == before
        assert step.compilations == 1
        adams = optax.tree.get(state.optimizer_state, "inner_state")[0]
        params, first, second, average, wanted = by_hand(dtype)
        tolerance = ORACLE_TOLERANCES[dtype]
        assert set(dtypes(state.params)) == {jnp.dtype(dtype)}
        assert set(dtypes((adams.mu, adams.nu, state.average, losses))) == {wide(dtype)}
        assert_relative(state.params, params, tolerance)
        assert_relative(adams.mu, first, tolerance)
        assert_relative(adams.nu, second, tolerance)
        assert_relative(state.average, average, tolerance)
        assert_relative(np.array(losses), np.array(wanted), tolerance)
        assert losses[-1] < losses[0]


OPTIMIZERS: dict[str, Any] = {
    "adam skip": Optimizer(learning_rate=RATE, schedule="cosine", skip=2).transformation(STEPS),
    "sgd": Optimizer(optimizer="sgd", schedule="step", learning_rate=RATE, decay=2.0).transformation(1, 2),
    "adamw": optax.adamw(RATE, weight_decay=0.1),
    "accumulated": optax.MultiSteps(optax.sgd(RATE), 2),
}


@pytest.mark.quick("bfloat16-False-adamw", "bfloat16-False-sgd", "float32-True-adamw")
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize(
    ("dtype", "x64"), [("bfloat16", False), ("float16", False), ("float32", True), ("float64", True)]
)
def test_no_dtype_changes_and_steps_are_those_of_an_optimizer_of_wide_parameters(optimizer, dtype, x64):
    with jax.enable_x64(x64):
        step = train_step(squares, optimizer, batch_mesh(1), averaging=AVERAGING, donate=False)
        state = TrainState.create(initial(dtype), optimizer, jax.random.key(0), averaged=True)
        before = dtypes(state)
        assert not {jnp.dtype("bfloat16"), jnp.dtype("float16")} & set(dtypes(state.optimizer_state))

        gradient = jax.grad(lambda params, batch: squares(params, batch, None)["loss"] / batch[2].sum())
        params: Any = state.params
        other = optimizer.init(jax.tree.map(lambda leaf: leaf.astype(wide(dtype)), params))
        for batch in batches(dtype)[:3]:
            state, _ = step(state, batch)
            assert dtypes(state) == before

            exact = jax.tree.map(lambda leaf: leaf.astype(wide(dtype)), params)
            updates, other = optimizer.update(gradient(exact, batch), other, exact)
            params = jax.tree.map(lambda leaf, update: (leaf + update).astype(dtype), exact, updates)
        assert step.compilations == 1
        # One rounding may go the other way.
        assert_relative(state.params, params, 2 * float(jnp.finfo(dtype).eps))
        assert np.abs(np.asarray(state.params["kernel"]) - initial(dtype)["kernel"]).max() > RATE / 2


def test_an_optimizer_state_of_narrow_moments_is_named():
    optimizer, params = optax.adam(RATE), initial("bfloat16")
    step = train_step(squares, optimizer, batch_mesh(1))
    state = TrainState.create(params, optimizer, jax.random.key(0))._replace(optimizer_state=optimizer.init(params))
    message = r"state.optimizer_state\[0\].mu\['bias'\]: expected float32\[3\], as .*, got bfloat16\[3\]"
    with pytest.raises(ValueError, match=message):
        step(state, batches("bfloat16")[0])


def test_an_average_of_bfloat16_parameters_moves():
    still = optax.set_to_zero()
    step = train_step(squares, still, batch_mesh(1), averaging=0.999)
    state = TrainState.create(initial("bfloat16"), still, jax.random.key(0), averaged=True)
    start = jax.device_get(state.average)
    assert set(dtypes(start)) == {jnp.dtype("float32")}
    # Where the average has come far, and the parameters are elsewhere.
    params = jax.tree.map(lambda leaf: leaf + 1, state.params)
    state = state._replace(params=params, step=jnp.asarray(100_000, jnp.int32))
    aim = jax.device_get(params)
    for batch in batches("bfloat16"):
        state, _ = step(state, batch)
    share = 0.999**STEPS
    want = jax.tree.map(lambda old, new: share * old.astype(float) + (1 - share) * new.astype(float), start, aim)
    moved = jax.tree.map(lambda new, old: np.abs(np.asarray(new) - old).min(), state.average, start)
    assert min(jax.tree.leaves(moved)) > 0.04
    assert_relative(state.average, want, 1e-5)  # largest error measured: 9e-7


def test_what_is_no_float_in_an_optimizers_state_survives():
    def init(params):
        return {
            "count": jnp.int32(2**24 + 1),  # float32 does not know it
            "small": jnp.int8(7),
            "flag": jnp.array([True, False]),
            "key": jax.random.key(3),
            "mean": jax.tree.map(jnp.zeros_like, params),
        }

    def update(updates, state, params=None):
        return updates, {**state, "count": state["count"] + 1, "mean": updates}

    optimizer = optax.GradientTransformation(init, update)
    step = train_step(squares, optimizer, batch_mesh(2))
    state = step.replicate(TrainState.create(initial("bfloat16"), optimizer, jax.random.key(0)))
    before = dtypes(state)
    for batch in batches("bfloat16")[:3]:
        state, _ = step(state, batch)
    assert dtypes(state) == before
    kept = state.optimizer_state
    assert int(kept["count"]) == 2**24 + 4
    assert int(kept["small"]) == 7
    assert kept["flag"].tolist() == [True, False]
    np.testing.assert_array_equal(jax.random.key_data(kept["key"]), jax.random.key_data(jax.random.key(3)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_checkpoint_keeps_parameters_and_their_wide_average(dtype, tmp_path):
    optimizer = Optimizer(learning_rate=RATE).transformation(STEPS)
    state = TrainState.create(initial(dtype), optimizer, jax.random.key(0), averaged=True)
    state = state._replace(average=jax.tree.map(lambda leaf: leaf + 1e-4, state.average))
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        checkpoints.save(state, Position(step=3))
        checkpoints.wait()
        zeros = jax.tree.map(jnp.zeros_like, state.params)
        back, _ = checkpoints.restore(TrainState.create(zeros, optimizer, jax.random.key(0), averaged=True))
    assert dtypes(back) == dtypes(state)
    jax.tree.map(np.testing.assert_array_equal, back._replace(key=0), state._replace(key=0))


def parts_of(params, batch, key):
    """A loss in the parameters' own dtype: 256 and 1 on two devices, whose sum bfloat16 does not know."""
    loss = (batch.astype(params.dtype) * params).sum()
    return {"loss": loss, "weight": jnp.ones((), params.dtype)}


@pytest.mark.parametrize("carrying", [False, True])
@pytest.mark.parametrize(("dtype", "large"), [("bfloat16", 256), ("float16", 2048)])
def test_gradients_and_sums_of_devices_are_added_in_float32(dtype, large, carrying):
    mesh, batch, params = batch_mesh(2), np.array([large, 1], np.float32), jnp.ones((), dtype)
    objective: Any = parts_of
    if carrying:
        objective = Objective(lambda params, batch, key, carry: (parts_of(params, batch, key), carry), carries=True)
    remember = optax.trace(decay=0.0)
    step, evaluation = train_step(objective, remember, mesh, donate=False), eval_step(objective, mesh)
    state = step.replicate(TrainState.create(params, remember, jax.random.key(0)))
    after, sums = step(state, batch)
    assert float(after.optimizer_state.trace) == (large + 1) / 2
    assert float(sums["loss"]) == large + 1
    assert float(sums["gradient_norm"]) == (large + 1) / 2
    measured = evaluation((params, ()), batch)[1] if carrying else evaluation(params, batch)
    assert float(measured["loss"]) == large + 1
