"""Objectives with loops and branches of their own: the numbers of plain `jax.grad`, on one device and on two."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tables import slow_unless

from rnnjax import LSTM, RNN, Chunked, FlaxCell, Scan, Unrolled
from rnnjax.training import Objective, TrainState, batch_mesh, eval_step, train_step
from rnnjax.training.devices import AXIS

ROWS, TIME, INPUT, HIDDEN = 4, 5, 3, 4
RANDOM = np.random.default_rng(0)
BATCH = {
    "inputs": RANDOM.normal(size=(ROWS, TIME, INPUT)).astype(np.float32),
    "labels": RANDOM.integers(1, HIDDEN, (ROWS, 2)).astype(np.int32),
    "weights": RANDOM.random(ROWS).astype(np.float32),
}
CARRY = RANDOM.normal(size=(ROWS, INPUT)).astype(np.float32)
# Relative to an array's largest number. Largest error measured: 5e-7.
RELATIVE_TOLERANCE = 2e-6
# An optimizer that remembers the last gradient and does nothing else.
REMEMBER = optax.trace(decay=0.0)


class Scanned(nn.Module):
    """A Flax cell under Flax's own scan."""

    @nn.compact
    def __call__(self, inputs):
        scan = nn.scan(nn.GRUCell, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1)
        return scan(HIDDEN)(jnp.zeros((len(inputs), HIDDEN)), inputs)[1]


MODULES = {
    "flax RNN": nn.RNN(nn.LSTMCell(HIDDEN)),
    "flax RNN of our cell": nn.RNN(FlaxCell(LSTM(), HIDDEN)),
    "flax scan": Scanned(),
    "rnnjax scan": RNN(LSTM(), HIDDEN, Scan()),
    "rnnjax unrolled": RNN(LSTM(), HIDDEN, Unrolled()),
    "rnnjax gates": RNN(LSTM(), HIDDEN, Chunked(3, "gates")),
    "rnnjax boundaries": RNN(LSTM(), HIDDEN, Chunked(3, "boundaries")),
}


def of_module(module, params, inputs, axis):
    outputs = module.apply(params, inputs)
    return outputs[0] if isinstance(module, RNN) else outputs


def own_scan(params, inputs, axis):
    """Elman's network, its state zeros that know nothing of the batch."""

    def step(hidden, inputs):
        hidden = jnp.tanh(inputs @ params["kernel"] + hidden @ params["recurrent"])
        return hidden, hidden

    _, hidden = jax.lax.scan(step, jnp.zeros((len(inputs), HIDDEN)), jnp.swapaxes(inputs, 0, 1))
    return jnp.swapaxes(hidden, 0, 1)


def while_loop(params, inputs, axis):
    """Inputs divided by the root of a number of the parameters, found by Newton's method; no gradient flows there."""
    number = 2 + jax.lax.stop_gradient(params["kernel"][0, 0] ** 2)

    def newton(carry):
        root, _ = carry
        return (root + number / root) / 2, jnp.abs(root**2 - number).max()

    start = jnp.ones(len(inputs)), jnp.float32(1)
    root, _ = jax.lax.while_loop(lambda carry: carry[1] > 1e-3, newton, start)
    return jnp.tanh(inputs / root[:, None, None] @ params["kernel"])


def branches(params, inputs, axis):
    """One branch reads the batch, the other one only the parameters."""
    read = jax.lax.cond(
        params["kernel"].sum() > 1e3,
        lambda kernel: jnp.ones((len(inputs), TIME, 1)) * kernel[0],
        lambda kernel: inputs @ kernel,
        params["kernel"],
    )
    return jnp.tanh(read)


def normalised(params, inputs, axis):
    """Centred over the whole batch, by a mean over the devices where there are some."""
    hidden = inputs @ params["kernel"]
    mean = hidden.mean(axis=(0, 1))
    return jnp.tanh(hidden - (mean if axis is None else jax.lax.pmean(mean, axis)))


OUTPUTS = {
    **{name: functools.partial(of_module, module) for name, module in MODULES.items()},
    "own scan": own_scan,
    "while_loop": while_loop,
    "cond": branches,
    "mean over devices": normalised,
    "ctc": lambda params, inputs, axis: inputs @ params["kernel"],
}


@functools.cache
def initial(name) -> Any:
    if name in MODULES:
        return jax.jit(MODULES[name].init)(jax.random.key(0), BATCH["inputs"])
    random = np.random.default_rng(1)
    sizes = {"kernel": (INPUT, HIDDEN), "recurrent": (HIDDEN, HIDDEN)}
    return {key: jnp.asarray(random.normal(size=size), jnp.float32) for key, size in sizes.items()}


def sums_of(name, axis, params, batch, key):
    outputs, labels = OUTPUTS[name](params, batch["inputs"], axis), batch["labels"]
    if name == "ctc":
        losses = optax.ctc_loss(outputs, jnp.zeros(outputs.shape[:2]), labels, jnp.zeros(labels.shape))
    else:
        losses = ((outputs.mean(axis=1) - labels[:, :1]) ** 2).sum(axis=1)
    return {"loss": (losses * batch["weights"]).sum(), "weight": batch["weights"].sum(), "labels": labels.sum()}


def carried_sums_of(name, axis, params, batch, key, carry):
    """Inputs moved by what the batch before has left."""
    batch = {**batch, "inputs": batch["inputs"] + carry[:, None]}
    return sums_of(name, axis, params, batch, key), jax.lax.stop_gradient(batch["inputs"].mean(axis=1))


@functools.cache
def expected(name, carrying):
    """The sums, what is carried on, and the gradient of the mean loss, of the whole batch on one device."""

    def loss(params):
        if carrying:
            sums, carry = carried_sums_of(name, None, params, BATCH, None, CARRY)
        else:
            sums, carry = sums_of(name, None, params, BATCH, None), ()
        return sums["loss"] / sums["weight"], (sums, carry)

    gradient, (sums, carry) = jax.jit(jax.grad(loss, has_aux=True))(initial(name))
    return sums, carry, gradient


def assert_alike(got, want):
    def alike(got, want):
        got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
        np.testing.assert_allclose(got, want, rtol=RELATIVE_TOLERANCE, atol=RELATIVE_TOLERANCE * np.abs(want).max())

    jax.tree.map(alike, got, want)


PLAIN, CARRYING = False, True
CASES = [
    *((name, devices, PLAIN) for name in OUTPUTS for devices in (1, 2)),
    *((name, 2, CARRYING) for name in OUTPUTS),
    ("own scan", 1, CARRYING),
]


def runs_always(name: str, devices: int, carrying: bool) -> bool:
    """What differs is what is summed over two devices; with a carry, one of each kind of loop."""
    return devices == 2 and (not carrying or name in ("rnnjax scan", "rnnjax boundaries", "own scan"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "devices", "carrying"),
    slow_unless(runs_always, CASES),
    ids=[f"{n}-{d}-{'carrying' if c else 'plain'}" for n, d, c in CASES],
)
def test_loss_and_gradient_are_those_of_the_whole_batch(name, devices, carrying):
    mesh = batch_mesh(devices)
    objective: Any = functools.partial(sums_of, name, AXIS)
    if carrying:
        objective = Objective(functools.partial(carried_sums_of, name, AXIS), carries=True)
    step, evaluation = train_step(objective, REMEMBER, mesh, donate=False), eval_step(objective, mesh)
    want, carried, gradient = expected(name, carrying)
    assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(want["loss"]))

    state = step.replicate(TrainState.create(initial(name), REMEMBER, jax.random.key(0)))
    state = state._replace(carry=step.split(CARRY) if carrying else ())
    after, sums = step(state, BATCH)
    assert_alike(after.optimizer_state.trace, gradient)
    assert_alike({key: sums[key] for key in want}, want)
    assert_alike(after.carry, carried)
    if carrying:
        carry, sums = evaluation((state.params, state.carry), BATCH)
        assert_alike(carry, carried)
    else:
        sums = evaluation(state.params, BATCH)
    assert_alike(sums, want)


def sums_over_devices(jaxpr, inside=False):
    """How many sums over devices a program has outside of loops and inside of them."""
    outside = within = 0
    for equation in jaxpr.eqns:
        if "psum" in equation.primitive.name:
            outside, within = outside + (not inside), within + inside
        looping = inside or equation.primitive.name in ("scan", "while")
        for part in jax.tree.leaves(list(equation.params.values())):
            if hasattr(part := getattr(part, "jaxpr", part), "eqns"):
                found = sums_over_devices(part, looping)
                outside, within = outside + found[0], within + found[1]
    return outside, within


@pytest.mark.parametrize("name", ["own scan", "flax RNN of our cell", "rnnjax scan", "rnnjax gates"])
def test_gradients_are_summed_over_devices_once_and_outside_of_loops(name):
    step = train_step(functools.partial(sums_of, name, AXIS), REMEMBER, batch_mesh(2))
    state = TrainState.create(initial(name), REMEMBER, jax.random.key(0))
    outside, within = sums_over_devices(step._jitted.trace(state, BATCH).jaxpr.jaxpr)
    assert outside > 0
    assert within == 0


def test_a_sum_over_devices_inside_of_a_loop_would_be_seen():
    def looped(inputs):
        return jax.lax.scan(lambda total, x: (total + jax.lax.psum(x, AXIS), None), 0.0, inputs)[0]

    specs = {"in_specs": jax.P(AXIS), "out_specs": jax.P(), "check_vma": False}
    program = jax.jit(jax.shard_map(looped, mesh=batch_mesh(2), **specs))
    assert sums_over_devices(program.trace(jnp.ones(4)).jaxpr.jaxpr) == (0, 1)


BAD_SUMS = {
    "a number": (lambda params, batch, key: params["w"].sum(), "objective: expected a dict of sums, got "),
    "nothing": (lambda params, batch, key: None, "objective: expected a dict of sums, got NoneType"),
    "losses": (
        lambda params, batch, key: {"loss": jnp.ones(4), "weight": 1.0},
        r"objective: expected 'loss' to be one number, got shape \(4,\)",
    ),
    "weights": (
        lambda params, batch, key: {"loss": params["w"].sum(), "weight": jnp.ones(4)},
        r"objective: expected 'weight' to be one number, got shape \(4,\)",
    ),
}


@pytest.mark.parametrize(("sums", "message"), BAD_SUMS.values(), ids=BAD_SUMS)
def test_what_is_no_objective_is_named(sums, message):
    optimizer = optax.sgd(0.1)
    state = TrainState.create({"w": jnp.ones(2)}, optimizer, jax.random.key(0))
    with pytest.raises(ValueError, match=message):
        train_step(sums, optimizer, batch_mesh(1))(state, {"x": np.zeros((4, 1))})


def test_derived_metrics_have_names_of_their_own():
    objective = Objective(lambda params, batch, key: {"loss": 1.0, "weight": 1.0}, derived={"loss": lambda means: 0.0})
    with pytest.raises(
        ValueError, match=r"objective: expected derived metrics with names of their own, got \['loss'\]"
    ):
        objective.carried(None, None, None, ())
