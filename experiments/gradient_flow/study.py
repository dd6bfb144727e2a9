"""The study: measures, trains, prints and draws."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.gradient_flow.config import GradientFlow
from experiments.gradient_flow.flow import NETS, Row, measure, memory_table, scaled_params
from experiments.gradient_flow.recall import Training, train, training_table
from rnnjax import Elman
from rnnjax.analysis import ClippingCurves, FlowCurves, gradient_flow_figure
from rnnjax.runs import LiveRun
from rnnjax.runs.metrics import finite

PROGRAM = "experiments.gradient_flow"


def trainings(config: GradientFlow, session: LiveRun) -> dict[float, dict[float | None, Training]]:
    """Trains the Elman net with the smallest and the largest scale, each without and with clipping; logs each training.

    A training that diverges is a result.
    """
    results: dict[float, dict[float | None, Training]] = {}
    for scale in (min(config.scales), max(config.scales)):
        results[scale] = {}
        for clip in (None, config.clip):
            training = results[scale][clip] = train(
                Elman(),
                scaled_params(Elman(), scale, config),
                time=config.train_time,
                batch=config.batch_size,
                noise=config.noise,
                updates=config.updates,
                learning_rate=config.learning_rate,
                clip=clip,
                seed=config.seed,
            )
            curves = {name: finite(values) for name, values in training._asdict().items()}
            session.log.line("training", {"net": "Elman", "scale": scale, "clip": clip, **curves})
    return results


def draw(rows: Sequence[Row], results: dict[float, dict[float | None, Training]], config: GradientFlow) -> Any:
    """The figure of all measurements and trainings."""
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


def study(config: GradientFlow) -> Path:
    """Measures, trains, prints and draws. Returns the path of the run folder."""
    with LiveRun(PROGRAM, "gradient-flow", config) as session:
        session.begin()
        rows = []
        for row in measure(config):
            rows.append(row)
            session.log.line("flow", row.line())
        print(
            f"{config.steps_back} steps back: norms of the gradient with respect to the hidden state h and to the "
            f"whole state s (1 at the last step),\nand the largest singular value of ds_T/ds_t; medians of "
            f"{config.batch_size} sequences of {config.time} steps, {config.hidden} features"
        )
        print(memory_table(rows, config), "\n", sep="")
        results = trainings(config, session)
        print(f"Recall over {config.train_time} steps, {config.updates} updates; the loss without knowledge is 1")
        print(training_table(results), "\n", sep="")
        session.score("clipped_loss", results[max(config.scales)][config.clip].losses[-1], highest=False)
        session.log.figure(0, "gradient_flow", lambda: draw(rows, results, config))
        print(f"run folder {session.path}")
    return session.path
