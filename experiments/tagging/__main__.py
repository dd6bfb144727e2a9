"""Which two markers is a symbol between? Every symbol is tagged by what comes before it and by what comes after.

A made task: random letters and markers; a symbol's tag names the nearest marker on its left and on its right, or none.
The left one is known to a network that reads forward, the right one to one that also reads backward (Schuster and
Paliwal 1997, "Bidirectional Recurrent Neural Networks"). Command: `python -m experiments.tagging`.
"""

import functools
import sys

import jax
import numpy as np

from experiments.catalogue import Experiment
from experiments.sequence_tasks.markers import Tagging, draw, most_frequent
from experiments.sequence_tasks.training import running, train
from rnnjax import GRU, RNN, Bidirectional, SequenceTagger
from rnnjax.commands import parse_presets, run
from rnnjax.runs.report import table
from rnnjax.runs.run_files import record
from rnnjax.training import tagging, use_cpu_cores
from rnnjax.training.models import logits_of

PROGRAM = "experiments.tagging"
EXPERIMENT = Experiment(
    question="Which two markers is a symbol between: does tagging take both directions?",
    command=f"python -m {PROGRAM} [markers | smoke]",
    time="about 30 seconds",
)
PRESETS = {
    "markers": ("Sequences of up to 40 symbols with three markers.", Tagging(train=4_000, epochs=4)),
    "smoke": ("Seconds: shows that everything runs.", Tagging(train=64, validation=32, test=32, epochs=1, hidden=8)),
}


def study(config: Tagging) -> None:
    """Trains a network of one direction and one of both, and prints them beside the baselines."""
    with running("tagging", config) as under_way:
        training, validation, test = (draw(config, part, count) for part, count in config.parts)
        results = [
            ("most frequent tag of a symbol", most_frequent(training, test, 0), 0.0),
            ("most frequent tag of a symbol and its two neighbours", most_frequent(training, test, 1), 0.0),
        ]
        networks = {
            "GRU, forward": RNN(GRU(), config.hidden),
            "GRU, both directions": Bidirectional(RNN(GRU(), config.hidden), RNN(GRU(), config.hidden)),
        }
        own = np.arange(config.longest) < test.lengths[:, None]
        for name, recurrent in networks.items():
            model = SequenceTagger(1 + config.markers + config.letters, 16, recurrent, (config.markers + 1) ** 2)
            start = functools.partial(model.init, inputs=training.inputs[:1])
            trained = train(under_way, name, tagging(logits_of(model)), start, training, validation)
            logits = jax.jit(logits_of(model))(trained.params, test.inputs, test.lengths)
            right = np.asarray(logits.argmax(axis=-1) == test.targets)[own]
            results.append((name, float(right.mean()), trained.seconds))
        for name, accuracy, seconds in results:
            record(under_way.log, "outcome", {"model": name, "accuracy": accuracy, "seconds": seconds})
        rows = [(name, f"{accuracy:.4f}", f"{seconds:.1f}") for name, accuracy, seconds in results]
        print(f"\n{own.sum():,} steps of {config.test:,} unseen sequences")
        print(table(("model", "accuracy", "seconds"), rows))


def main(arguments: list[str]) -> None:
    """Runs the preset that the arguments name, with their options."""
    _, config = parse_presets(PRESETS, "markers", PROGRAM, arguments)
    use_cpu_cores(config.devices)
    study(config)


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
