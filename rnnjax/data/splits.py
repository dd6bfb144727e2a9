"""A hold-out where a source has none, and training texts that no evaluation has seen."""

import math
from collections import Counter
from collections.abc import Sequence

import datasets

from rnnjax.data.sources import LabelledTexts


def hold_out(
    train: LabelledTexts, classes: tuple[str, ...], fraction: float, seed: int
) -> tuple[LabelledTexts, LabelledTexts]:
    """(training, held out): a seeded split that keeps each class's share.

    Raises ValueError for a fraction outside (0, 1), or too few rows to hold out one of each class.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"hold-out fraction: expected 0 < fraction < 1, got {fraction}")
    count = len(train.texts)
    held = math.ceil(fraction * count)
    rarest = min(Counter(train.labels).values(), default=0)
    if rarest < 2 or held < len(classes) or count - held < len(classes):
        raise ValueError(
            f"hold-out of {fraction:g}: expected at least 2 rows of every class, and one a class on either side, "
            f"got {count} rows of {len(classes)} classes, the rarest with {rarest}"
        )
    features = datasets.Features({"row": datasets.Value("int64"), "label": datasets.ClassLabel(names=list(classes))})
    table = datasets.Dataset.from_dict({"row": range(count), "label": train.labels}, features=features)
    parts = table.train_test_split(test_size=fraction, seed=seed, stratify_by_column="label")
    return _take(train, parts["train"]["row"][:]), _take(train, parts["test"]["row"][:])


def _take(texts: LabelledTexts, rows: Sequence[int]) -> LabelledTexts:
    return LabelledTexts([texts.texts[row] for row in rows], [texts.labels[row] for row in rows])


def without(texts: LabelledTexts, *held: LabelledTexts | None) -> LabelledTexts:
    """The texts that are in none of the held parts, spaces and case aside."""
    seen = {_canonical(text) for part in held if part is not None for text in part.texts}
    kept = [(text, label) for text, label in zip(*texts, strict=True) if _canonical(text) not in seen]
    return LabelledTexts([text for text, _ in kept], [label for _, label in kept])


def _canonical(text: str) -> str:
    return " ".join(text.lower().split())
