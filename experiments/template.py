"""A template for a study of your own, with its data, model and loss. Copy this file and change what you like.

The target is the last number of a sequence minus the first one. Command: `python -m experiments.template`.
"""

import dataclasses

import flax.linen as nn
import jax
import numpy as np
import optax

from rnnjax import RNN
from rnnjax.cells.names import known_cell
from rnnjax.commands import CellOption, Experiment, run_study
from rnnjax.data import Batches, batches
from rnnjax.runs import RunConfig, Session
from rnnjax.training import Objective

PROGRAM = "experiments.template"
EXPERIMENT = Experiment("How do I train a net of my own?", f"python -m {PROGRAM}", "15 seconds on two cores")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Template(RunConfig):
    """Train a recurrent net on numbers."""

    cell: CellOption = "gru"
    """Cell: one of the library, or your own as module:Name."""
    hidden: int = 32
    """Number of hidden units."""
    steps: int = 20
    """Largest sequence length."""


class Net(nn.Module):
    config: Template

    @nn.compact
    def __call__(self, inputs: jax.Array, lengths: jax.Array) -> jax.Array:
        recurrent = RNN(known_cell(self.config.cell), self.config.hidden)
        outputs, final = recurrent(inputs, lengths=lengths)
        return nn.Dense(1)(recurrent.last(final, outputs, lengths))[:, 0]


def init(config: Template):
    """The initial parameters. `rnnjax.runs.open_run(path, Template, init)` opens a trained run."""
    return jax.jit(Net(config).init)(jax.random.key(config.seed), np.zeros((1, 1, 1), "f4"), np.ones(1, "i4"))["params"]


def data(config: Template) -> tuple[Batches, ...]:
    """Training and validation batches of random sequences of different lengths, with their targets."""
    parts = []
    for part, rows in enumerate((2_000, 500)):
        random = np.random.default_rng([config.seed, part])
        inputs = random.normal(size=(rows, config.steps, 1)).astype(np.float32)
        lengths = random.integers(1, config.steps + 1, rows)
        targets = inputs[np.arange(rows), lengths - 1, 0] - inputs[:, 0, 0]
        parts.append(batches(inputs, targets, lengths, batch_size=config.batch_size, seed=config.seed))
    return tuple(parts)


def objective(config: Template) -> Objective:
    def sums(params, batch, key):
        errors = Net(config).apply({"params": params}, batch.inputs, batch.lengths) - batch.targets
        losses = optax.huber_loss(errors) * batch.weights
        near = (abs(errors) < 0.1) * batch.weights
        return {"loss": losses.sum(), "weight": batch.weights.sum(), "within_0.1": near.sum()}

    return Objective(sums)


def train(config: Template) -> None:
    with Session(PROGRAM, "template", config) as session:
        session.fit(objective(config), init(config), *data(config))


if __name__ == "__main__":
    run_study(PROGRAM, Template, train)
