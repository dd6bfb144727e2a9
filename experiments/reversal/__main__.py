"""Can an encoder-decoder write a string backwards? It is tested on strings that are not in its training part.

A synthetic task that shows the use of attention (Luong, Pham and Manning 2015): each symbol of the answer is at another
position in the source. Command: `python -m experiments.reversal`.
"""

import functools

from experiments.reversal.data import Reversal, draw
from rnnjax.commands import Experiment, run, run_preset

PROGRAM = "experiments.reversal"
EXPERIMENT = Experiment(
    question="Can an encoder-decoder with attention write a string backwards?",
    command=f"python -m {PROGRAM} [strings | smoke]",
    time="about 40 seconds",
)
PRESETS = {
    "strings": ("Strings of up to 10 of 12 letters.", Reversal(train=20_000, hidden=64, epochs=3, batch_size=128)),
    "smoke": ("Runs in seconds, as a check.", Reversal(train=64, validation=32, test=32, epochs=1, hidden=8)),
}


def study(config: Reversal) -> None:
    """Trains the network, decodes the test strings greedily, and compares the answers with the baselines."""
    import numpy as np

    from rnnjax import decode
    from rnnjax.models import logits_of
    from rnnjax.runs import NetworkRun
    from rnnjax.scores import rows_of, score_answers
    from rnnjax.training import teacher_forcing

    with NetworkRun(PROGRAM, "reversal", config) as session:
        training, validation, test = draw(config)
        session.begin()
        model, name = config.network(), f"encoder-decoder, attention {config.attention}"
        init = functools.partial(model.init, sources=training.inputs[:1], targets_in=training.targets[:1])
        objective = teacher_forcing(logits_of(model), config.start, config.end)
        trained = session.train(name, objective, init, training, validation)
        decoded = decode(
            model,
            trained.params,
            test.inputs,
            test.lengths,
            start=config.start,
            end=config.end,
            length=config.longest + 1,
        )
        sources, targets = rows_of(test.inputs, test.lengths), rows_of(test.targets, test.lengths)
        letters = np.concatenate([np.array(row) for row in rows_of(training.inputs, training.lengths)])
        most_frequent = int(np.bincount(letters).argmax())
        answers = {
            "the most frequent letter, repeated": [(most_frequent,) * len(row) for row in sources],
            "the string unchanged": sources,
            name: rows_of(np.asarray(decoded.tokens), np.asarray(decoded.lengths)),
        }
        print(f"\n{config.test:,} test strings; {trained.seconds:.1f} s of training")
        session.finish(score_answers(answers, targets))


main = functools.partial(run_preset, PROGRAM, PRESETS, "strings", study)

if __name__ == "__main__":
    run(PROGRAM, main)
