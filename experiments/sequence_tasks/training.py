"""One way to train the networks of all studies of made sequences."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, NamedTuple

import jax

from experiments.sequence_tasks.config import SequenceTask
from rnnjax.data import cut_batches
from rnnjax.data.sequence_batches import SequenceBatch
from rnnjax.runs import RunFolder
from rnnjax.runs.report import Progress
from rnnjax.runs.run_files import new_path, record
from rnnjax.runs.seals import SealedLines
from rnnjax.training import TrainState, batch_mesh, eval_step, fit, train_step
from rnnjax.training.step import Objective


class Run(NamedTuple):
    """A study under way: its options, and where its metrics go."""

    config: SequenceTask
    log: SealedLines


class Trained(NamedTuple):
    """A network after its last epoch, and the seconds that its training took, compiling included."""

    params: Any
    seconds: float


@contextmanager
def running(name: str, config: SequenceTask) -> Iterator[Run]:
    """A run folder for the study, made before any work; its path is printed at the end.

    Raises ValueError for a batch size that is not a multiple of the devices, and as `batch_mesh` and
    `RunFolder.create`.
    """
    devices = batch_mesh(config.devices).size
    if config.batch_size % devices:
        raise ValueError(f"batch_size: expected a multiple of {devices} devices, got {config.batch_size}")
    path = config.run_folder or new_path(name)
    folder = RunFolder.create(path, {"experiment": name, **asdict(config)})
    with folder.metrics() as log:
        yield Run(config, log)
    print(f"run folder {path}")


def train(
    run: Run,
    name: str,
    objective: Objective,
    start: Callable[[jax.Array], Any],
    training: SequenceBatch,
    validation: SequenceBatch,
) -> Trained:
    """The network after all epochs; a line is printed and recorded after each. `start(key)` makes its variables.

    Raises as `fit`.
    """
    config, begun = run.config, time.perf_counter()
    mesh, updates = batch_mesh(config.devices), -(-config.train // config.batch_size)
    optimizer = config.transformation(updates * config.epochs, updates)
    parameters, dropout = jax.random.split(jax.random.key(config.seed))
    state = TrainState.create(jax.jit(start)(parameters)["params"], optimizer, dropout, averaged=config.averaging > 0)
    with Progress(updates * config.epochs) as progress:
        for after, report in fit(
            state,
            train_step(objective, optimizer, mesh, clip=config.clip, averaging=config.averaging),
            eval_step(objective, mesh),
            lambda epoch, first: cut_batches(training, config.batch_size, config.seed, epoch, first),
            lambda: cut_batches(validation, config.batch_size),
            config.epochs,
            progress.step,
            skip=config.skip,
        ):
            progress.say(
                f"{name}, epoch {report.epoch}: training loss {report.train.loss:.4f}, validation loss "
                f"{report.validation.loss:.4f}, accuracy {report.validation['accuracy']:.4f}"
            )
            state = after
            record(run.log, "epoch", {"network": name, **report.record()})
    return Trained(jax.device_get(state.evaluated), time.perf_counter() - begun)
