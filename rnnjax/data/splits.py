"""A hold-out split for sources without one, and removal of held-out texts from the training part."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from rnnjax.data.sources import LabelledTexts
from rnnjax.data.stored_texts import in_file_order
from rnnjax.extras import extra

with extra("text"):
    import datasets


def hold_out(
    train: LabelledTexts, classes: tuple[str, ...], fraction: float, seed: int
) -> tuple[LabelledTexts, LabelledTexts]:
    """(training, held out): a seeded stratified split.

    Raises ValueError for a fraction outside (0, 1), or too few rows to hold out one of each class.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"hold-out fraction: expected 0 < fraction < 1, got {fraction}")
    count = len(train.texts)
    held = math.ceil(fraction * count)
    rarest = min(Counter(train.labels).values(), default=0)
    if rarest < 2 or held < len(classes) or count - held < len(classes):
        raise ValueError(
            f"hold-out of {fraction:g}: expected at least 2 rows of every class, and one per class on either side, "
            f"got {count} rows of {len(classes)} classes, the rarest with {rarest}"
        )
    features = datasets.Features({"row": datasets.Value("int64"), "label": datasets.ClassLabel(names=list(classes))})
    columns = {"row": np.arange(count), "label": np.asarray(train.labels)}
    table = datasets.Dataset.from_dict(columns, features=features).with_format("numpy")
    parts = table.train_test_split(test_size=fraction, seed=seed, stratify_by_column="label")
    return train.take(np.asarray(parts["train"]["row"][:])), train.take(np.asarray(parts["test"]["row"][:]))


def without(texts: LabelledTexts, *held: LabelledTexts | None) -> LabelledTexts:
    """The texts that are in none of the held-out parts, ignoring spaces and case."""
    seen = [_hashes(part.texts) for part in held if part is not None]
    if not seen:
        return texts
    return texts.take(np.flatnonzero(~np.isin(_hashes(texts.texts), np.concatenate(seen))))


def _hashes(texts: Sequence[str]) -> np.ndarray:
    """A 64-bit hash of each text, ignoring spaces and case: enough to distinguish a billion texts."""
    stored, places = in_file_order(texts)
    hashes = np.empty(len(texts), np.uint64)
    hashes[places] = np.fromiter(map(_hash, stored), np.uint64, len(texts))
    return hashes


def _hash(text: str) -> int:
    canonical = " ".join(text.lower().split()).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(canonical, digest_size=8).digest(), "little")
