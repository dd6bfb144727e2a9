"""Which two markers is a symbol between? The tag of each symbol depends on the symbols before it and after it.

A synthetic task with random letters and markers. The tag of a symbol names the nearest marker on its left and on its
right, or none. The left marker can be predicted by a network that reads forward, the right one only by a network that
also reads backward (Schuster and Paliwal 1997, "Bidirectional Recurrent Neural Networks").
Command: `python -m experiments.tagging`.
"""

import functools

from experiments.tagging.data import Tagging, draw, most_frequent
from rnnjax.commands import Experiment, run, run_preset

PROGRAM = "experiments.tagging"
EXPERIMENT = Experiment(
    question="Which two markers is a symbol between: does tagging need both directions?",
    command=f"python -m {PROGRAM} [markers | smoke]",
    time="about 30 seconds",
)
PRESETS = {
    "markers": ("Sequences of up to 40 symbols with three markers.", Tagging(train=4_000, epochs=4)),
    "smoke": ("Runs in seconds, as a check.", Tagging(train=64, validation=32, test=32, epochs=1, hidden=8)),
}


def study(config: Tagging) -> None:
    """Trains a forward network and a bidirectional one, and compares them with the baselines."""
    import jax
    import numpy as np

    from rnnjax import GRU, RNN, Bidirectional, SequenceTagger
    from rnnjax.models import logits_of
    from rnnjax.runs import NetworkRun
    from rnnjax.training import tagging

    with NetworkRun(PROGRAM, "tagging", config) as session:
        session.begin()
        training, validation, test = (draw(config, part, count) for part, count in config.parts)
        outcomes = [
            ("most frequent tag of a symbol", most_frequent(training, test, 0), 0.0),
            ("most frequent tag of a symbol and its two neighbours", most_frequent(training, test, 1), 0.0),
        ]
        networks = {
            "GRU, forward": RNN(GRU(), config.hidden),
            "GRU, both directions": Bidirectional(RNN(GRU(), config.hidden), RNN(GRU(), config.hidden)),
        }
        real = np.arange(config.longest) < test.lengths[:, None]
        for name, recurrent in networks.items():
            model = SequenceTagger(1 + config.markers + config.letters, 16, recurrent, (config.markers + 1) ** 2)
            init = functools.partial(model.init, inputs=training.inputs[:1])
            trained = session.train(name, tagging(logits_of(model)), init, training, validation)
            logits = jax.jit(logits_of(model))(trained.params, test.inputs, test.lengths)
            correct = np.asarray(logits.argmax(axis=-1) == test.targets)[real]
            outcomes.append((name, float(correct.mean()), trained.seconds))
        print(f"\n{config.test:,} test sequences with {real.sum():,} steps")
        session.finish([dict(zip(("model", "accuracy", "seconds"), row, strict=True)) for row in outcomes])


main = functools.partial(run_preset, PROGRAM, PRESETS, "markers", study)

if __name__ == "__main__":
    run(PROGRAM, main)
