"""Which token comes next? Language models of words, sub-words or characters, and text generation.

Data: Marcus et al. 1993, "Building a Large Annotated Corpus of English: The Penn Treebank", as prepared by Mikolov et
al. 2010, "Recurrent neural network based language model"; any text file. Sources: Zaremba, Sutskever and Vinyals 2014,
"Recurrent Neural Network Regularization"; Gal and Ghahramani 2016, "A Theoretically Grounded Application of Dropout in
Recurrent Neural Networks"; Press and Wolf 2017, "Using the Output Embedding to Improve Language Models".
Command: `python -m experiments.language_model ptb-small --source FOLDER`.
"""

import sys

from experiments.language_model.config import PYTHON, Language
from experiments.language_model.options import Evaluate, Generate, Surprisal
from rnnjax.commands import Experiment, run, study_command
from rnnjax.lazy import deferred

PROGRAM = "experiments.language_model"
EXPERIMENT = Experiment(
    question="Which word, or which character, comes next, and what does a network write?",
    command=f"python -m {PROGRAM} [ptb-small | ptb-400 | shakespeare | smoke] --source PATH | generate RUN | "
    "evaluate RUN | surprisal RUN TEXT",
    time="smoke 15 seconds, shakespeare 15 minutes, ptb-small 25 minutes, ptb-400 an hour on two cores",
)
DEFAULT = "smoke"
PREFIX = "language-model-"
PRESETS = {
    "ptb-small": (
        "Train two LSTM layers of 200 units on words: the small model of Zaremba et al. 2014.",
        Language(dropout=0.2, epochs=6),
    ),
    "ptb-400": (
        "Train ptb-small with layers of 400 units, more dropout and more epochs.",
        Language(hidden=400, dropout=0.4, epochs=12),
    ),
    "shakespeare": (
        "Train two LSTM layers of 256 units on characters.",
        Language(
            level="character",
            hold_out=0.05,
            embedding=64,
            hidden=256,
            tied=False,
            steps=100,
            batch_size=32,
            epochs=8,
            dropout=0.2,
        ),
    ),
    "smoke": (
        "Train for seconds on the help texts of Python: shows that everything works.",
        Language(
            source=PYTHON,
            level="character",
            limit=150_000,
            vocabulary=80,
            embedding=32,
            hidden=64,
            layers=1,
            tied=False,
            steps=50,
            epochs=2,
            learning_rate=1e-2,
        ),
    ),
}


COMMANDS = {
    Generate: deferred("experiments.language_model.generation", "generate"),
    Evaluate: deferred("experiments.language_model.evaluation", "evaluate"),
    Surprisal: deferred("experiments.language_model.surprisal", "surprisal"),
}
train = deferred("experiments.language_model.train", "train")
main = study_command(PRESETS, DEFAULT, PROGRAM, PREFIX, train, COMMANDS)

if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
