"""Which word comes next? A network small enough to compute by hand, and a language model for any text.

Commands: `python -m experiments.next_word`, `python -m experiments.next_word text FILE --prompt "to be or"`,
`python -m experiments.next_word predict runs/NAME "to be or"`.
"""

import sys

from experiments.language_model.config import Language
from experiments.next_word.options import PRESET, ByHand, Predict, Text
from rnnjax.commands import Experiment, parse_presets, run
from rnnjax.runs import load_config
from rnnjax.runs.resumption import resumed_run, with_newest

PROGRAM = "experiments.next_word"
EXPERIMENT = Experiment(
    question="Which word comes next: by hand with 13 parameters, and in any text file?",
    command=f"python -m {PROGRAM} [by-hand | text FILE --prompt WORDS | predict RUN WORDS]",
    time="by-hand 3 seconds; text 2 to 3 minutes for 200,000 words on two cores",
)
DEFAULT = "by-hand"


def main(arguments: list[str]) -> None:
    """Computes by hand, trains on a text, or predicts, according to the arguments."""
    arguments = with_newest(arguments)
    run = resumed_run(arguments)
    text = PRESET if run is None else Text(**vars(load_config(run, Language)))
    presets = {"by-hand": (str(ByHand.__doc__), ByHand()), "text": (str(Text.__doc__), text)}
    _, options = parse_presets(presets, DEFAULT, PROGRAM, arguments, (Predict,))
    if isinstance(options, ByHand):
        from experiments.next_word.by_hand import show

        show(options.epochs, options.learning_rate, options.seed)
    elif isinstance(options, Predict):
        from experiments.language_model.trained import open_run
        from experiments.next_word.text import print_next

        print_next(open_run(options.run), options.prompt, options.top)
    else:
        from experiments.next_word.text import train_text

        options.execution.begin(options)
        train_text(options)


if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
