"""Is a review positive? The main job: a recurrent classifier on 25,000 real movie reviews.

Data: Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis".
Command: `python -m experiments.sentiment`, or with a preset, `python -m experiments.sentiment lstm`.
"""

import dataclasses
import functools
import sys

import datasets

from experiments.catalogue import Experiment
from experiments.sentiment.config import TextClassification
from experiments.sentiment.scoring import Evaluate, Predict, evaluate, predict
from experiments.sentiment.train import train
from rnnjax.commands import parse_study, run
from rnnjax.training import use_cpu_cores

PROGRAM = "experiments.sentiment"
EXPERIMENT = Experiment(
    question="Is a movie review positive or negative?",
    command=f"python -m {PROGRAM} [bigru-max | bilstm-max | lstm | gru3 | bilstm2 | smoke | predict | evaluate]",
    time="bigru-max 4 to 6 minutes, bilstm-max 2, gru3 4, bilstm2 5, lstm 5 to 6, smoke 10 seconds on two cores",
)
DEFAULT = "bigru-max"
PREFIX = "sentiment-"
BILSTM_MAX = TextClassification(
    epochs=3,
    batch_size=32,
    learning_rate=2e-3,
    schedule="linear",
    warmup=0.05,
    clip=1.0,
    input_dropout=0.2,
    dropout=0.3,
    buckets=4,
)
PRESETS = {
    "bigru-max": (
        "Train the default, the best: a bidirectional GRU on 800 words, its outputs pooled by their maximum.",
        # What the study `sentiment` found to help; with more dropout the parameters' average gains from a fourth epoch.
        dataclasses.replace(
            BILSTM_MAX, cell="gru", longest=800, epochs=4, input_dropout=0.4, dropout=0.5, averaging=0.998
        ),
    ),
    "bilstm-max": (
        "Train the quickest: a bidirectional LSTM on 400 words, its outputs pooled by their maximum.",
        BILSTM_MAX,
    ),
    "lstm": (
        "Train the tutorial classic: vocabulary 10,000, last 500 words, embedding 32, LSTM 100, one sigmoid unit.",
        TextClassification(
            vocabulary=10_000,
            longest=500,
            embedding=32,
            hidden=100,
            bidirectional=False,
            pooling="last",
            epochs=10,
            batch_size=64,
        ),
    ),
    "gru3": (
        "Train three GRU layers, each but the last handing on its whole sequence, and one sigmoid unit.",
        dataclasses.replace(BILSTM_MAX, cell="gru", layers=3, bidirectional=False, pooling="last"),
    ),
    "bilstm2": (
        "Train two bidirectional LSTM-64 layers, dense layers of 32 and 16 ReLU units, one sigmoid unit.",
        dataclasses.replace(BILSTM_MAX, vocabulary=10_000, layers=2, pooling="last", dense=(32, 16)),
    ),
    "smoke": (
        "Train for seconds: shows that everything runs, and learns little.",
        TextClassification(
            rows=600, vocabulary=1_000, longest=60, embedding=8, hidden=8, epochs=1, batch_size=64, buckets=2
        ),
    ),
}


def main(arguments: list[str]) -> None:
    """Trains a preset, predicts, or evaluates, as the arguments say."""
    name, options = parse_study(PRESETS, DEFAULT, PROGRAM, PREFIX, arguments, (Predict, Evaluate))
    datasets.disable_progress_bars()
    if isinstance(options, Predict):
        predict(options)
    elif isinstance(options, Evaluate):
        use_cpu_cores(options.devices)
        evaluate(options)
    else:
        options.execution.begin(options)
        train(options, f"{PREFIX}{name}", PROGRAM)


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
