"""A run that trains several networks, one after the other, without checkpoints."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax

from rnnjax.data import cut_batches
from rnnjax.data.sequence_batches import SequenceBatch
from rnnjax.runs.live import LiveRun
from rnnjax.runs.report import Progress, outcome_table
from rnnjax.training import StepReport, TrainState, batch_mesh, eval_step, fit, train_step
from rnnjax.training.objective import Objective


class Trained(NamedTuple):
    """The parameters after the last epoch, and the seconds of training and compiling."""

    params: Any
    seconds: float


class NetworkRun(LiveRun):
    """A `LiveRun` for networks that train within seconds or minutes.

    `config` is an `Optimizer` with the fields `epochs`, `batch_size`, `seed` and `execution`, such as `SyntheticTask`.
    """

    def begin(
        self,
        objective: Objective | None = None,
        facts: Mapping[str, Any] = MappingProxyType({}),
        artifacts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """As `LiveRun.begin`. Raises ValueError if the batch size is not a multiple of the number of devices."""
        devices, batch_size = batch_mesh(self.execution.devices).size, self.config.batch_size
        if batch_size % devices:
            raise ValueError(f"batch_size: expected a multiple of {devices} devices, got {batch_size}")
        super().begin(objective, facts, artifacts)

    def train(
        self,
        name: str,
        objective: Objective,
        init: Callable[[jax.Array], Any],
        training: SequenceBatch,
        validation: SequenceBatch,
    ) -> Trained:
        """Trains a network for all epochs; after each epoch, prints and logs a line with its name.

        `init(key)` makes the variables of the network. Raises as `fit`.
        """
        config, start, before = self.config, time.perf_counter(), self.step
        mesh, updates = batch_mesh(self.execution.devices), -(-len(training.weights) // config.batch_size)
        optimizer = config.transformation(updates * config.epochs, updates)
        init_key, key = jax.random.split(jax.random.key(config.seed))
        state = TrainState.create(jax.jit(init)(init_key)["params"], optimizer, key, averaged=config.averaging > 0)
        with Progress(updates * config.epochs) as progress:

            def watch(report: StepReport) -> None:
                self.step = before + report.step
                progress.step(report)

            for after, report in fit(
                state,
                train_step(objective, optimizer, mesh, clip=config.clip, averaging=config.averaging),
                eval_step(objective, mesh),
                lambda epoch, first: cut_batches(training, config.batch_size, config.seed, epoch, first),
                lambda: cut_batches(validation, config.batch_size),
                config.epochs,
                watch,
                skip=config.skip,
                stop=self._stop,
            ):
                scores = ", ".join(f"{metric} {value:.4f}" for metric, value in report.validation.metrics.items())
                progress.say(
                    f"{name}, epoch {report.epoch}: training loss {report.train.loss:.4f}, validation {scores}"
                )
                self.log.epoch(self.step, {"network": name, **report.record()})
                state = after
        return Trained(jax.device_get(state.evaluated), time.perf_counter() - start)

    def finish(self, outcomes: Sequence[Mapping[str, Any]]) -> None:
        """Logs the outcome of each model, and prints the table of all outcomes and the path of the run folder.

        The score of the run is the first one of the last model; higher is better.
        """
        for outcome in outcomes:
            self.log.line("outcome", dict(outcome))
        _, name, *_ = outcomes[-1]
        self.score(name, outcomes[-1][name], highest=True)
        print(f"{outcome_table(outcomes)}\nrun folder {self.path}")
