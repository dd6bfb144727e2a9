"""Studies of the text classifier on the 25,000 movie reviews. The score is the accuracy on the held-out reviews."""

import dataclasses

from experiments.ablations.trials import ClassifierTrainer
from experiments.sentiment.config import TextClassification
from rnnjax.ablations import Study, Variant

# The same reviews are held out for every seed, and a variant takes minutes on two cores.
SMALL = TextClassification(
    data_seed=0,
    longest=200,
    hidden=32,
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
TRAINER, SCORE = ClassifierTrainer(), "hold-out accuracy"


def sentiment() -> Study:
    """The parts of a sentiment classifier, changed one at a time."""
    base = Variant("bilstm", "The base: a bidirectional LSTM-32, the last 200 words, maximum over time.", SMALL)
    variants = [
        base,
        base.changed("last", "Is the last output enough?", pooling="last"),
        base.changed("mean", "Or the mean of all?", pooling="mean"),
        base.changed("forward", "What is the second direction worth?", bidirectional=False),
        base.changed("words-100", "Are fewer words enough?", longest=100),
        base.changed("words-400", "What do more words bring?", longest=400),
        base.changed("words-800", "And all words of nearly every review?", longest=800),
        base.changed("first-words", "Is the verdict at the end of a review?", cut="end"),
        base.changed("vocabulary-5000", "Is a small vocabulary enough?", vocabulary=5_000),
        base.changed("vocabulary-10000", "Or a medium one?", vocabulary=10_000),
        base.changed("vocabulary-40000", "Does a larger one help?", vocabulary=40_000),
        base.changed("no-dropout", "What is dropout worth?", input_dropout=0.0, dropout=0.0),
        base.changed("no-input-dropout", "And that of the inputs?", input_dropout=0.0),
        base.changed("no-output-dropout", "And that of the outputs?", dropout=0.0),
        base.changed("word-dropout", "Does it help to drop whole words?", word_dropout=0.2),
        base.changed("state-dropout", "Or units of the state?", state_dropout=0.2),
        base.changed("weight-dropout", "Or recurrent weights?", weight_dropout=0.3),
        base.changed("zoneout", "Or zoneout?", zoneout=0.1),
        base.changed("averaging", "Or an average of the parameters along the way?", averaging=0.998),
        base.changed("gru", "Does it need a cell state?", cell="gru"),
        base.changed("layers-2", "Does a second layer help?", layers=2),
        base.changed("hidden-64", "Do more features help?", hidden=64),
        base.changed("embedding-128", "Or more features of each word?", embedding=128),
    ]
    return Study("What makes a good sentiment classifier?", SCORE, TRAINER, variants, seeds=4)


def order_matters() -> Study:
    """The same reviews in their own, reversed and random word order."""
    config = dataclasses.replace(SMALL, bidirectional=False, pooling="last")
    lstm = Variant("lstm", "The base: an LSTM-32 that reads forward, its last output.", config)
    most = dataclasses.replace(config, pooling="max")
    top = Variant("max", "The base: an LSTM-32 that reads forward, the maximum of its outputs.", most)
    both = Variant("both", "The base: a bidirectional LSTM-32, the maximum of its outputs.", SMALL)
    variants = [
        lstm,
        lstm.changed("lstm-reversed", "Does it read backward as well?", word_order="reversed"),
        lstm.changed("lstm-shuffled", "And words in random order?", word_order="shuffled"),
        top,
        top.changed("max-reversed", "Does it read backward as well?", word_order="reversed"),
        top.changed("max-shuffled", "And words in random order?", word_order="shuffled"),
        both,
        both.changed("both-shuffled", "How much does word order contribute to it?", word_order="shuffled"),
        both.changed("bag-max", "And the recurrence?", layers=0),
        both.changed("bag-mean", "Or the mean of the words?", layers=0, pooling="mean"),
    ]
    return Study("How much does word order contribute?", SCORE, TRAINER, variants, seeds=4)
