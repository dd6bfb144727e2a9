"""Studies of the text classifier, on the 25,000 movie reviews. A score is the accuracy on those held out."""

import dataclasses

from experiments.ablations.study import Study, Variant
from experiments.sentiment.config import TextClassification

# The same reviews held out for every seed, and small enough that a variant is minutes on two cores.
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
SCORE = "hold-out accuracy"


def sentiment() -> Study:
    """What a sentiment classifier is built of, one change at a time."""
    changes: dict[str, tuple[str, dict]] = {
        "last": ("Is the last output enough?", {"pooling": "last"}),
        "mean": ("Or the mean of all?", {"pooling": "mean"}),
        "forward": ("What is the second direction worth?", {"bidirectional": False}),
        "words-100": ("Do fewer words do?", {"longest": 100}),
        "words-400": ("What do more words bring?", {"longest": 400}),
        "words-800": ("And all words of nearly every review?", {"longest": 800}),
        "first-words": ("Is the verdict at the end of a review?", {"cut": "end"}),
        "vocabulary-5000": ("Is a small vocabulary enough?", {"vocabulary": 5_000}),
        "vocabulary-10000": ("Or a middling one?", {"vocabulary": 10_000}),
        "vocabulary-40000": ("Does a larger one help?", {"vocabulary": 40_000}),
        "no-dropout": ("What is dropout worth?", {"input_dropout": 0.0, "dropout": 0.0}),
        "no-input-dropout": ("And that of the inputs?", {"input_dropout": 0.0}),
        "no-output-dropout": ("And that of what is pooled?", {"dropout": 0.0}),
        "word-dropout": ("Does it help to drop whole words?", {"word_dropout": 0.2}),
        "state-dropout": ("Or units of the state?", {"state_dropout": 0.2}),
        "weight-dropout": ("Or recurrent weights?", {"weight_dropout": 0.3}),
        "zoneout": ("Or to keep units as they were?", {"zoneout": 0.1}),
        "averaging": ("Or an average of the parameters along the way?", {"averaging": 0.998}),
        "gru": ("Does it need a cell state?", {"cell": "gru"}),
        "layers-2": ("Does a second layer help?", {"layers": 2}),
        "hidden-64": ("Do more features?", {"hidden": 64}),
        "embedding-128": ("Or more of a word?", {"embedding": 128}),
    }
    variants = [
        Variant("bilstm", "The base: a bidirectional LSTM-32, the last 200 words, maximum over time.", SMALL),
        *(
            Variant(name, question, dataclasses.replace(SMALL, **change), "bilstm")
            for name, (question, change) in changes.items()
        ),
    ]
    return Study("What makes a good sentiment classifier?", SCORE, variants, seeds=4)


def order_matters() -> Study:
    """The same reviews with less and less of their order."""
    last = dataclasses.replace(SMALL, bidirectional=False, pooling="last")
    most = dataclasses.replace(SMALL, bidirectional=False, pooling="max")
    both = dataclasses.replace(SMALL, bidirectional=True, pooling="max")
    variants = [
        Variant("lstm", "The base: an LSTM-32 that reads forward, its last output.", last),
        Variant("lstm-reversed", "Is the way back as good?", dataclasses.replace(last, word_order="reversed"), "lstm"),
        Variant("lstm-shuffled", "And no way at all?", dataclasses.replace(last, word_order="shuffled"), "lstm"),
        Variant("max", "The base: an LSTM-32 that reads forward, the maximum of its outputs.", most),
        Variant("max-reversed", "Is the way back as good?", dataclasses.replace(most, word_order="reversed"), "max"),
        Variant("max-shuffled", "And no way at all?", dataclasses.replace(most, word_order="shuffled"), "max"),
        Variant("both", "The base: a bidirectional LSTM-32, the maximum of its outputs.", both),
        Variant(
            "both-shuffled", "What is order worth to it?", dataclasses.replace(both, word_order="shuffled"), "both"
        ),
        Variant("bag-max", "And the recurrence?", dataclasses.replace(both, layers=0), "both"),
        Variant("bag-mean", "Or the mean of the words?", dataclasses.replace(both, layers=0, pooling="mean"), "both"),
    ]
    return Study("What is the order of words worth?", SCORE, variants, seeds=4)
