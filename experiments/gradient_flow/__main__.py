"""How far back does a gradient reach? Vanishing, exploding, and what clipping does about either.

Sources: Hochreiter 1991; Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013, "On the
difficulty of training recurrent neural networks".
Command: `python -m experiments.gradient_flow`. A minute on two cores.
"""

import dataclasses
import functools
import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.catalogue import Experiment
from experiments.gradient_flow.recall import INPUTS, Training, sequences, train, training_table
from rnnjax import GRU, LSTM, Cell, Elman
from rnnjax.analysis import (
    ClippingCurves,
    FlowCurves,
    Memory,
    gradient_flow_figure,
    gradient_memory,
    gradient_norms,
    jacobian_products,
)
from rnnjax.commands import parse, run
from rnnjax.fields import check_fields
from rnnjax.files import save_figure
from rnnjax.runs import RunFolder
from rnnjax.runs.folder import FIGURES
from rnnjax.runs.report import table
from rnnjax.runs.run_files import new_path, record
from rnnjax.training.capacity import parameters_of
from rnnjax.types import Params

PROGRAM = "experiments.gradient_flow"
EXPERIMENT = Experiment(
    question="How far back does a gradient reach, and what does clipping do about it?",
    command=f"python -m {PROGRAM} [--scales 0.5 1 1.5]",
    time="a minute on two cores",
)
MOST_SCALES = 7


class Net(NamedTuple):
    """A cell, and whether it reads the task's inputs: at rest it reads zeros, and stays at the origin."""

    name: str
    cell: Cell
    driven: bool = True


NETS = (
    # tanh's slope is 1 at the origin, where every step Jacobian is the recurrent kernel itself: the linear case.
    Net("Elman at rest", Elman(), driven=False),
    Net("Elman", Elman()),
    Net("GRU", GRU()),
    Net("LSTM, forget bias 1", LSTM()),
    Net("LSTM, forget bias 5", LSTM(forget_bias=5.0)),
)


@dataclasses.dataclass(frozen=True)
class GradientFlow:
    """Measure how far back a gradient reaches in Elman, GRU and LSTM nets as they are initialised.

    The task: recall the first input at the last step, through noise.
    """

    scales: tuple[float, ...] = (0.5, 0.9, 1.0, 1.1, 1.5)
    """The recurrent kernel is orthogonal, gate by gate, times each of these."""
    time: int = 500
    """Steps of a sequence."""
    back: int | None = None
    """Steps back at which the table compares; 200, or the most that a shorter sequence has, unless given."""
    hidden: int = 32
    """Hidden features."""
    batch: int = 16
    """Sequences; curves and table show the median of them."""
    noise: float = 0.1
    """Standard deviation of the inputs after the first, which is -1 or 1."""
    clip: float = 1.0
    """Largest global norm of a clipped gradient."""
    updates: int = 200
    """Updates of each training, two with the least scale and two with the greatest."""
    train_time: int = 200
    """Steps of a sequence in training."""
    learning_rate: float = 0.1
    """Step size of gradient descent."""
    seed: int = 0
    """Seeds parameters, sequences and the direction that the loss looks in."""
    run_folder: Path | None = None
    """Where the run is written: runs/ and its name and time, unless given."""

    def __post_init__(self):
        check_fields(
            self,
            at_least_one=("hidden", "batch", "updates", "train_time"),
            above_zero=("scales", "clip", "learning_rate"),
        )
        if self.time < 2:
            raise ValueError(f"time: expected at least 2, got {self.time}")
        if not 1 <= len(set(self.scales)) == len(self.scales) <= MOST_SCALES:
            raise ValueError(f"scales: expected 1 to {MOST_SCALES} different ones, got {self.scales}")
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"noise: expected a number of at least 0, got {self.noise}")
        if self.back is not None and not 0 < self.back < self.time:
            raise ValueError(f"back: expected 1 to {self.time - 1}, less than time, got {self.back}")

    @property
    def steps_back(self) -> int:
        return self.back or min(200, self.time - 1)


class Row(NamedTuple):
    """What was measured of one net at one scale; the curves are medians over the batch, log10, each `(T,)`.

    `memory` is of the gradient with respect to the whole state: an LSTM carries most of it in its cell.
    """

    net: str
    scale: float
    memory: Memory
    hidden_gradients: np.ndarray
    state_gradients: np.ndarray
    singular_values: np.ndarray


def scaled_params(cell: Cell, scale: float, config: GradientFlow) -> Params:
    """The cell's initial parameters, the recurrent kernel times the scale; the same ones for every scale."""
    params = parameters_of(lambda: cell.init_params(jax.random.key(config.seed), INPUTS, config.hidden))
    recurrent = params.recurrent._replace(kernel=scale * params.recurrent.kernel)
    return params._replace(recurrent=recurrent)


def measure(config: GradientFlow) -> Iterator[Row]:
    """Every net at every scale. The loss is the last hidden state's part in one random direction of length 1.

    So the gradient is 1 at the last step, in every sequence and for every cell.
    """
    direction_key, inputs_key = jax.random.split(jax.random.key(config.seed))
    direction = jax.random.normal(direction_key, (config.hidden,))
    direction /= jnp.linalg.norm(direction)
    inputs, _ = sequences(inputs_key, config.time, config.batch, config.noise)

    def loss(states: Any) -> jax.Array:
        return jnp.sum(states.hidden[-1] @ direction)

    @functools.partial(jax.jit, static_argnums=0)
    def curves(*problem: Any) -> list[jax.Array]:
        norms, products = gradient_norms(loss, *problem), jacobian_products(*problem)
        return [jnp.median(log10, axis=1) for log10 in (norms.fields.hidden, norms.whole, products)]

    for net in NETS:
        state = net.cell.init_state(config.batch, config.hidden)
        read = inputs if net.driven else jnp.zeros_like(inputs)
        for scale in sorted(config.scales):
            measured = curves(net.cell, scaled_params(net.cell, scale, config), read, state)
            hidden, whole, singular_values = map(np.asarray, measured)
            memory = gradient_memory(whole, scale, config.steps_back)
            yield Row(net.name, scale, memory, hidden, whole, singular_values)


def trainings(config: GradientFlow) -> dict[float, dict[float | None, Training]]:
    """The Elman net trained at the least and at the greatest scale, each without clipping and with it."""
    cell = Elman()
    return {
        scale: {
            clip: train(
                cell,
                scaled_params(cell, scale, config),
                time=config.train_time,
                batch=config.batch,
                noise=config.noise,
                updates=config.updates,
                learning_rate=config.learning_rate,
                clip=clip,
                seed=config.seed,
            )
            for clip in (None, config.clip)
        }
        for scale in (min(config.scales), max(config.scales))
    }


def power_of_ten(log10: float) -> str:
    """10**log10 in two digits, beyond the range of floats too."""
    if not math.isfinite(log10):
        return "0" if log10 < 0 else str(log10)
    if abs(log10) < 2:
        return f"{10**log10:.2g}"
    exponent = math.floor(log10 + 0.0218)  # 9.51 and more is rounded up to the next power
    return f"{10 ** (log10 - exponent):.1f}e{exponent:+03d}"


def memory_table(rows: list[Row], config: GradientFlow) -> str:
    """Every net and scale: the simple prediction, what was measured, and how far back 1% is left."""
    back = config.steps_back
    headers = ("net", "scale", f"scale^{back}", "|dL/dh|", "|dL/ds|", "sigma_max", "a step", "under 1% after")
    return table(
        headers,
        [
            (
                row.net,
                f"{row.scale:g}",
                power_of_ten(row.memory.predicted),
                power_of_ten(row.hidden_gradients[-1 - back]),
                power_of_ten(row.memory.measured),
                power_of_ten(row.singular_values[-1 - back]),
                f"{row.memory.decay:.3f}",
                f"never within {config.time - 1}" if row.memory.horizon is None else row.memory.horizon,
            )
            for row in rows
        ],
    )


def finite_or_none(values: Iterable[float]) -> list[float | None]:
    """For JSON, which knows no infinity."""
    return [float(value) if math.isfinite(value) else None for value in values]


def study(config: GradientFlow) -> Path:
    """Measures, prints, draws, and leaves a run folder, whose path it returns."""
    path = config.run_folder or new_path("gradient-flow")
    folder = RunFolder.create(path, {"experiment": "gradient-flow", **dataclasses.asdict(config)})
    rows = list(measure(config))
    print(
        f"{config.steps_back} steps back: the gradient with respect to the hidden state h and to the whole state s, "
        f"1 at the last step,\nand the largest singular value of ds_T/ds_t; medians of {config.batch} sequences of "
        f"{config.time} steps, {config.hidden} features"
    )
    print(memory_table(rows, config), "\n", sep="")
    results = trainings(config)
    print(f"Recall over {config.train_time} steps, {config.updates} updates; a loss of 1 is to know nothing")
    print(training_table(results), "\n", sep="")
    with folder.metrics() as log:
        for row in rows:
            memory = {**row.memory._asdict(), "measured": finite_or_none([row.memory.measured])[0]}
            lists = {f"log10_{name}": finite_or_none(values) for name, values in row._asdict().items() if "_" in name}
            record(log, "flow", {"net": row.net, "scale": row.scale, **memory, **lists})
        for scale, pair in results.items():
            for clip, training in pair.items():
                lists = {name: finite_or_none(values) for name, values in training._asdict().items()}
                record(log, "training", {"net": "Elman", "scale": scale, "clip": clip, **lists})
    save_figure(path / FIGURES / "gradient_flow.png", lambda: draw(rows, results, config))
    print(f"figure {path / FIGURES / 'gradient_flow.png'}\nrun folder {path}")
    return path


def draw(rows: list[Row], results: dict[float, dict[float | None, Training]], config: GradientFlow) -> Any:
    """The figure of all that was measured."""
    flows = [
        FlowCurves(
            net.name.replace(", ", "\n"),
            {row.scale: row.hidden_gradients for row in rows if row.net == net.name},
            {row.scale: row.singular_values for row in rows if row.net == net.name},
        )
        for net in NETS
    ]
    clippings = [
        ClippingCurves(
            f"Elman, scale {scale:g}, recall over {config.train_time} steps",
            config.clip,
            pair[None],
            pair[config.clip],
        )
        for scale, pair in results.items()
    ]
    return gradient_flow_figure(flows, clippings)


def main(arguments: list[str]) -> None:
    """Runs the study that the arguments describe."""
    study(parse(GradientFlow, PROGRAM, arguments))


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
