"""A study of your own: own data, own model, own loss. Copy this file, and change what you like.

The answer is the difference of a sequence's last number and its first. Command: `python -m experiments.template`.
"""

import dataclasses
import functools
import sys
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import optax

from experiments.catalogue import Experiment
from rnnjax import GRU, RNN, Cell
from rnnjax.commands import parse_run, run
from rnnjax.data import Batches, batches
from rnnjax.runs import RunConfig, Session
from rnnjax.training import Objective

PROGRAM = "experiments.template"
EXPERIMENT = Experiment("How do I train a net of my own?", f"python -m {PROGRAM}", "15 seconds on two cores")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Template(RunConfig):
    """Train a recurrent net on numbers."""

    hidden: int = 32
    """Hidden features."""
    steps: int = 20
    """Numbers of the longest sequence."""


class Net(nn.Module):
    """A recurrent layer, and a dense head on its last output."""

    cell: Cell
    hidden: int

    @nn.compact
    def __call__(self, inputs: jax.Array, lengths: jax.Array) -> jax.Array:
        recurrent = RNN(self.cell, self.hidden)
        outputs, final = recurrent(inputs, lengths=lengths)
        return nn.Dense(1)(recurrent.last(final, outputs, lengths))[:, 0]


def data(config: Template, part: int, rows: int) -> Batches:
    """Random sequences of ragged lengths, and their answers."""
    random = np.random.default_rng([config.seed, part])
    inputs = random.normal(size=(rows, config.steps, 1)).astype(np.float32)
    lengths = random.integers(1, config.steps + 1, rows)
    targets = inputs[np.arange(rows), lengths - 1, 0] - inputs[:, 0, 0]
    return batches(inputs, targets, lengths, batch_size=config.batch_size, seed=None if part else config.seed)


def train(config: Template) -> Path:
    """Trains, prints, and leaves a run folder, whose path it returns."""
    model = Net(GRU(), config.hidden)

    def sums(params, batch, key):
        errors = model.apply({"params": params}, batch.inputs, batch.lengths) - batch.targets
        losses = optax.huber_loss(errors) * batch.weights
        near = (abs(errors) < 0.1) * batch.weights
        return {"loss": losses.sum(), "weight": batch.weights.sum(), "within_0.1": near.sum()}

    training, validation = data(config, 0, 2_000), data(config, 1, 500)
    first = next(validation())
    params = jax.jit(model.init)(jax.random.key(config.seed), first.inputs, first.lengths)["params"]
    with Session(PROGRAM, "template", config) as session:
        session.fit(Objective(sums), params, training, validation)
    return session.path


if __name__ == "__main__":
    run(PROGRAM, functools.partial(parse_run, Template, train, PROGRAM, sys.argv[1:]))
