"""Which symbols were rendered, and in which order? Frames are read, and nobody says where a symbol begins or ends.

A made task: each symbol is a pattern held for a random number of frames, with silence between symbols, under noise.
Trained with connectionist temporal classification (Graves et al. 2006). Command: `python -m experiments.ctc`.
"""

import functools
import sys

import jax
import numpy as np

from experiments.catalogue import Experiment
from experiments.sequence_tasks.frames import BLANK, WINDOWS, Rendering, best_window, draw, nearest_patterns
from experiments.sequence_tasks.scores import error_rate, rows_of, share_right
from experiments.sequence_tasks.training import running, train
from rnnjax import GRU, RNN, Bidirectional, SequenceTagger
from rnnjax.commands import parse_presets, run
from rnnjax.runs.report import table
from rnnjax.runs.run_files import record
from rnnjax.training import ctc, ctc_decode, use_cpu_cores
from rnnjax.training.models import logits_of

PROGRAM = "experiments.ctc"
EXPERIMENT = Experiment(
    question="Which symbols were rendered in noisy frames, when nobody says where one begins or ends?",
    command=f"python -m {PROGRAM} [frames | smoke]",
    time="about 30 seconds",
)
PRESETS = {
    "frames": ("Up to 8 of 8 symbols, each held for 2 to 5 frames.", Rendering(train=4_000, longest=8, epochs=6)),
    "smoke": (
        "Seconds: shows that everything runs.",
        Rendering(train=64, validation=32, test=32, longest=4, epochs=1, hidden=8),
    ),
}


def study(config: Rendering) -> None:
    """Trains, decodes unseen frames greedily, and prints the scores beside the baselines."""
    with running("ctc", config) as under_way:
        training, validation, test = (draw(config, part, count) for part, count in config.parts)
        both = Bidirectional(RNN(GRU(), config.hidden), RNN(GRU(), config.hidden))
        model = SequenceTagger(None, 32, both, 1 + config.symbols)
        objective, start = ctc(logits_of(model), BLANK), functools.partial(model.init, inputs=training.inputs[:1])
        trained = train(under_way, "CTC", objective, start, training, validation)
        logits = jax.jit(logits_of(model))(trained.params, test.inputs, test.lengths)
        read = rows_of(*map(np.asarray, ctc_decode(logits, test.lengths, BLANK)))

        window = best_window(config, validation)
        answers = {
            "nearest pattern of each frame": nearest_patterns(config, test, 1),
            f"nearest pattern of the mean of {window} frames": nearest_patterns(config, test, window),
            "bidirectional GRU, CTC": read,
        }
        targets, rows = rows_of(test.targets, test.target_lengths), []
        for name, given in answers.items():
            errors, share = error_rate(given, targets), share_right(given, targets)
            record(under_way.log, "outcome", {"model": name, "error_rate": errors, "right": share})
            rows.append((name, f"{errors:.4f}", f"{share:.4f}"))
        print(f"\n{config.test:,} unseen sequences; trained for {trained.seconds:.1f} s")
        print(f"the mean's window was chosen among {WINDOWS} on the validation part, by the patterns themselves")
        print(table(("answer", "symbol error rate", "right in full"), rows))


def main(arguments: list[str]) -> None:
    """Runs the preset that the arguments name, with their options."""
    _, config = parse_presets(PRESETS, "frames", PROGRAM, arguments)
    use_cpu_cores(config.devices)
    study(config)


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
