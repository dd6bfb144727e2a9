"""Which symbols are in noisy frames, and in which order? The times of the symbols are not given.

A synthetic task: each symbol is a pattern that lasts for a random number of frames, with silence between symbols, and
noise. The network is trained with connectionist temporal classification (Graves et al. 2006).
Command: `python -m experiments.ctc`.
"""

import functools

from experiments.ctc.data import BLANK, WINDOWS, Rendering, best_window, draw, nearest_patterns
from rnnjax.commands import Experiment, run, run_preset

PROGRAM = "experiments.ctc"
EXPERIMENT = Experiment(
    question="Which symbols are in noisy frames, without their times?",
    command=f"python -m {PROGRAM} [frames | smoke]",
    time="about 30 seconds",
)
PRESETS = {
    "frames": ("Up to 8 of 8 symbols, 2 to 5 frames per symbol.", Rendering(train=4_000, longest=8, epochs=6)),
    "smoke": (
        "Runs in seconds, as a check.",
        Rendering(train=64, validation=32, test=32, longest=4, epochs=1, hidden=8),
    ),
}


def study(config: Rendering) -> None:
    """Trains the network, decodes the test frames greedily, and compares the answers with the baselines."""
    import jax
    import numpy as np

    from rnnjax import GRU, RNN, Bidirectional, SequenceTagger
    from rnnjax.models import logits_of
    from rnnjax.runs import NetworkRun
    from rnnjax.scores import rows_of, score_answers
    from rnnjax.training import ctc, ctc_decode

    with NetworkRun(PROGRAM, "ctc", config) as session:
        session.begin()
        training, validation, test = (draw(config, part, count) for part, count in config.parts)
        both = Bidirectional(RNN(GRU(), config.hidden), RNN(GRU(), config.hidden))
        model, name = SequenceTagger(None, 32, both, 1 + config.symbols), "bidirectional GRU, CTC"
        init = functools.partial(model.init, inputs=training.inputs[:1])
        trained = session.train(name, ctc(logits_of(model), BLANK), init, training, validation)
        logits = jax.jit(logits_of(model))(trained.params, test.inputs, test.lengths)
        window = best_window(config, validation)
        answers = {
            "nearest pattern of each frame": nearest_patterns(config, test, 1),
            f"nearest pattern of the mean of {window} frames": nearest_patterns(config, test, window),
            name: rows_of(*map(np.asarray, ctc_decode(logits, test.lengths, BLANK))),
        }
        targets = rows_of(test.targets, test.target_lengths)
        print(f"\n{config.test:,} test sequences; {trained.seconds:.1f} s of training")
        print(f"the window of the mean, one of {WINDOWS}, has the lowest error rate on the validation part")
        session.finish(score_answers(answers, targets))


main = functools.partial(run_preset, PROGRAM, PRESETS, "frames", study)

if __name__ == "__main__":
    run(PROGRAM, main)
