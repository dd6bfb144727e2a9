"""The train and eval steps: the numbers of a plain optax loop, on one device and on two."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference import assert_close
from toy import apply, make_batch, make_model, make_objective, make_params, make_state

from rnnjax.training import Optimizer, TrainState, batch_mesh, classification, eval_step, train_step

MODEL = make_model()
OPTIMIZER = Optimizer(learning_rate=1e-2, schedule="cosine").transformation(10)
CLIP = 0.1


@functools.cache
def compiled(devices):
    """A train step that tests share: it compiles once for each batch shape."""
    return train_step(make_objective(MODEL), OPTIMIZER, batch_mesh(devices), clip=CLIP)


def new_state(step):
    return make_state(MODEL, OPTIMIZER, step)


def test_three_steps_on_two_devices_are_those_of_a_plain_loop():
    step = compiled(2)
    state = new_state(step)
    params, key = make_params(MODEL), jax.random.key(1)
    optimizer_state = OPTIMIZER.init(params)
    for number in range(3):
        batch = jax.tree.map(jnp.asarray, make_batch(number, filled=2))

        def loss(params, batch=batch, number=number):
            logits = MODEL.apply(
                {"params": params},
                batch.inputs,
                batch.lengths,
                deterministic=False,
                rngs={"dropout": jax.random.fold_in(key, number)},
            )
            # The last two rows fill up the batch: they are not there for a plain loop.
            return optax.sigmoid_binary_cross_entropy(logits[:-2], batch.targets[:-2]).mean()

        value, gradient = jax.jit(jax.value_and_grad(loss))(params)
        norm = optax.tree.norm(gradient)
        gradient = jax.tree.map(lambda leaf, norm=norm: leaf * jnp.minimum(1, CLIP / norm), gradient)
        updates, optimizer_state = OPTIMIZER.update(gradient, optimizer_state, params)
        params = optax.apply_updates(params, updates)
        state, sums = step(state, batch)
        assert_close(sums["loss"] / sums["weight"], value, "training")
        assert_close(sums["gradient_norm"], norm, "training")
        assert bool(sums["clipped"]) == (norm > CLIP)
        assert_close(sums["learning_rate"], 1e-2 * (1 + np.cos(np.pi * number / 10)) / 2, "training")
        assert int(state.step) == number + 1
    # Adam divides by the gradient's own size, so a gradient near zero may turn a rounding into a step's part.
    assert_close(state.params, params, "parameters after 3 steps")


def test_dropout_differs_from_step_to_step_and_seed_to_seed():
    step = compiled(2)
    losses = []
    for seed, start in ((0, 0), (0, 1), (1, 0), (0, 0)):
        state = step.replicate(new_state(step)._replace(key=jax.random.key(seed), step=jnp.asarray(start, jnp.int32)))
        losses.append(float(step(state, make_batch())[1]["loss"]))
    assert len(set(losses[:3])) == 3
    assert losses[3] == losses[0]


@pytest.mark.quick("2-2")
@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("classes", [2, 3])
def test_eval_sums_are_numpys(devices, classes):
    model = make_model(logits=1 if classes == 2 else classes)
    params, batch = make_params(model), make_batch(3, filled=2, classes=classes)
    step = eval_step(make_objective(model, classes), batch_mesh(devices))
    sums = jax.device_get(step(step.replicate(params), batch))

    logits = np.asarray(apply(model, params, jnp.asarray(batch.inputs), jnp.asarray(batch.lengths)), np.float64)[:-2]
    labels = batch.targets[:-2]
    scores = np.stack([np.zeros_like(logits), logits], axis=1) if classes == 2 else logits
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    guesses = shares.argmax(axis=1)
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (labels, guesses), 1)
    assert_close(sums["loss"], -np.log(shares[np.arange(len(labels)), labels]).sum(), "training")
    assert sums["weight"] == len(labels)
    assert sums["accuracy"] == (guesses == labels).sum()
    assert sums["tokens"] == batch.lengths.sum()
    np.testing.assert_array_equal(sums["confusion"], confusion)


def test_one_compilation_for_each_batch_shape():
    traces = []
    model = make_model()

    def counted(params, *args, **options):
        traces.append(args[0].shape)
        return apply(model, params, *args, **options)

    optimizer = Optimizer(learning_rate=1e-2).transformation(10)
    step = train_step(classification(counted, 2), optimizer, batch_mesh(2))
    state = make_state(model, optimizer, step)
    for width in (3, 6, 3, 6, 3):
        state, _ = step(state, make_batch(width=width))
    assert step.compilations == 2
    assert len(traces) == 2
    assert step.compile_seconds > 0


def test_the_average_is_that_of_a_plain_loop():
    step = train_step(make_objective(MODEL), OPTIMIZER, batch_mesh(2), averaging=0.2)
    state = step.replicate(TrainState.create(make_params(MODEL), OPTIMIZER, jax.random.key(1), averaged=True))
    average = make_params(MODEL)
    for number, kept in enumerate((1 / 10, 2 / 11, 0.2, 0.2)):
        state, _ = step(state, make_batch(number))
        params = jax.device_get(state.params)
        average = jax.tree.map(lambda old, new, kept=kept: kept * old + (1 - kept) * new, average, params)
        assert_close(state.average, average, "training")
    assert state.evaluated is state.average
    assert np.abs(state.average["head"]["kernel"] - state.params["head"]["kernel"]).max() > 1e-4
    plain = new_state(step)
    assert plain.evaluated is plain.params


@pytest.mark.parametrize("averaging", [-0.1, 1.1, float("nan")])
def test_an_averaging_out_of_range_is_named(averaging):
    with pytest.raises(ValueError, match=f"averaging: expected 0 <= decay <= 1, got {averaging}"):
        train_step(make_objective(MODEL), OPTIMIZER, batch_mesh(1), averaging=averaging)


@pytest.mark.parametrize(("averaging", "given"), [(0.0, "with an average"), (0.2, "without an average")])
def test_no_average_is_lost_or_missed(averaging, given):
    step = train_step(make_objective(MODEL), OPTIMIZER, batch_mesh(1), averaging=averaging)
    state = TrainState.create(make_params(MODEL), OPTIMIZER, jax.random.key(1), averaged=averaging == 0)
    with pytest.raises(ValueError, match=f"averaging: a step with decay {averaging} was given a state {given}"):
        step(step.replicate(state), make_batch())


@pytest.mark.parametrize("clip", [0.0, float("nan"), float("inf")])
def test_a_clip_out_of_range_is_named(clip):
    with pytest.raises(ValueError, match=f"clip: expected a number above 0, got {clip}"):
        train_step(make_objective(MODEL), OPTIMIZER, batch_mesh(1), clip=clip)


def test_the_state_is_donated():
    step = compiled(2)
    state = new_state(step)
    step(state, make_batch())
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))
    with pytest.raises(ValueError, match="state: expected one that no step has used, got one that was donated"):
        step(state, make_batch())


def test_a_batch_that_does_not_divide_is_refused():
    step = compiled(2)
    with pytest.raises(ValueError, match="batch size: expected a multiple of 2 devices, got 5"):
        step(new_state(step), make_batch(rows=5))


@pytest.mark.parametrize("devices", [1, 2])
def test_a_batch_that_is_on_the_devices_stays_where_it_is(devices):
    step, batch = compiled(devices), make_batch()
    placed = step.put(batch)
    assert step.put(placed) is placed
    jax.tree.map(np.testing.assert_array_equal, placed, batch)
    elsewhere = jax.device_put(batch, jax.devices()[-1])
    moved = step.put(elsewhere)
    assert {leaf.sharding for leaf in jax.tree.leaves(moved)} == {leaf.sharding for leaf in jax.tree.leaves(placed)}


def test_steps_do_not_queue_up_where_cpu_devices_share_a_batch():
    assert (compiled(2).in_flight, compiled(1).in_flight) == (1, 2)


def test_groups_of_parameters_may_have_learning_rates_of_their_own():
    groups = optax.multi_transform(
        {
            "slow": Optimizer(optimizer="sgd", schedule="step", learning_rate=0.1).transformation(1, 1),
            "fast": Optimizer(optimizer="sgd", schedule="step", learning_rate=0.4).transformation(1, 1),
        },
        {"a": "slow", "b": "fast"},
    )

    def objective(params, batch, key):
        weight = batch.weights.sum()
        return {"loss": (params["a"] + 2 * params["b"]) * weight, "weight": weight}

    step = train_step(objective, groups, batch_mesh(1))
    params = {"a": jnp.float32(1), "b": jnp.float32(1)}
    state, sums = step(step.replicate(TrainState.create(params, groups, jax.random.key(0))), make_batch())
    assert_close(state.params, {"a": np.float32(1 - 0.1), "b": np.float32(1 - 0.4 * 2)}, "training")
    assert "learning_rate" not in sums
