"""Can a string be told backwards? An encoder-decoder learns to reverse strings that it has not seen.

The made task that shows what attention is for (Luong, Pham and Manning 2015): each answer symbol is at another place of
the source. No string is in two of the parts. Command: `python -m experiments.reversal`.
"""

import functools
import sys

import numpy as np

from experiments.catalogue import Experiment
from experiments.sequence_tasks.scores import error_rate, rows_of, share_right
from experiments.sequence_tasks.strings import Reversal, draw
from experiments.sequence_tasks.training import running, train
from rnnjax import decode
from rnnjax.commands import parse_presets, run
from rnnjax.runs.report import table
from rnnjax.runs.run_files import record
from rnnjax.training import teacher_forcing, use_cpu_cores
from rnnjax.training.models import logits_of

PROGRAM = "experiments.reversal"
EXPERIMENT = Experiment(
    question="Can a string be told backwards, symbol by symbol, by an encoder-decoder with attention?",
    command=f"python -m {PROGRAM} [strings | smoke]",
    time="about 40 seconds",
)
PRESETS = {
    "strings": ("Strings of up to 10 of 12 letters.", Reversal(train=20_000, hidden=64, epochs=3, batch_size=128)),
    "smoke": ("Seconds: shows that everything runs.", Reversal(train=64, validation=32, test=32, epochs=1, hidden=8)),
}


def study(config: Reversal) -> None:
    """Trains, decodes the unseen strings greedily, and prints the scores beside the baselines."""
    training, validation, test = draw(config)
    with running("reversal", config) as under_way:
        model = config.network()
        start = functools.partial(model.init, sources=training.inputs[:1], targets_in=training.targets[:1])
        objective = teacher_forcing(logits_of(model), config.start, config.end)
        trained = train(under_way, f"attention {config.attention}", objective, start, training, validation)
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
        commonest = int(np.bincount(letters).argmax())
        answers = {
            "the commonest letter, as often": [(commonest,) * len(row) for row in sources],
            "the string as it is": sources,
            f"encoder-decoder, attention {config.attention}": rows_of(
                np.asarray(decoded.tokens), np.asarray(decoded.lengths)
            ),
        }
        rows = []
        for name, given in answers.items():
            share, errors = share_right(given, targets), error_rate(given, targets)
            record(under_way.log, "outcome", {"model": name, "right": share, "error_rate": errors})
            rows.append((name, f"{share:.4f}", f"{errors:.4f}"))
        print(f"\n{config.test:,} unseen strings; trained for {trained.seconds:.1f} s")
        print(table(("answer", "right in full", "edits a symbol"), rows))


def main(arguments: list[str]) -> None:
    """Runs the preset that the arguments name, with their options."""
    _, config = parse_presets(PRESETS, "strings", PROGRAM, arguments)
    use_cpu_cores(config.devices)
    study(config)


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
