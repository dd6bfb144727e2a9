"""A hold-out split for sources without one, and removal of held-out texts from the training part."""

import hashlib
import math
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from rnnjax.data.labelled_texts import LabelledTexts
from rnnjax.data.sources import Source
from rnnjax.data.stored_texts import in_file_order
from rnnjax.errors import first_of
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
    _check_shares(train, classes, fraction, held)
    features = datasets.Features({"row": datasets.Value("int64"), "label": datasets.ClassLabel(names=list(classes))})
    columns = {"row": np.arange(count), "label": np.asarray(train.labels)}
    table = datasets.Dataset.from_dict(columns, features=features).with_format("numpy")
    parts = table.train_test_split(test_size=fraction, seed=seed, stratify_by_column="label")
    return train.take(np.asarray(parts["train"]["row"][:])), train.take(np.asarray(parts["test"]["row"][:]))


def without_rare(source: Source, least: int) -> Source:
    """The source without the classes that have fewer than `least` training rows, and without their rows in all parts.

    A warning names them. Raises ValueError if fewer than two classes, or no rows of a part, are left.
    """
    counts = np.bincount(source.train.labels, minlength=len(source.classes))
    kept = np.flatnonzero(counts >= least)
    if len(kept) == len(counts):
        return source
    if len(kept) < 2:
        raise ValueError(
            f"min_class_rows: expected at least two classes with {least} or more training rows, got {len(kept)}"
        )
    numbers = np.full(len(counts), -1)
    numbers[kept] = np.arange(len(kept))

    def common(part: LabelledTexts) -> LabelledTexts:
        labels = numbers[part.labels]
        if not (labels >= 0).any():
            raise ValueError("min_class_rows: expected rows of common classes in every part, got none in one")
        return LabelledTexts(part.take(np.flatnonzero(labels >= 0)).texts, labels[labels >= 0].tolist())

    rare = [f"{source.classes[number]!r} ({counts[number]})" for number in np.flatnonzero(counts < least)]
    warnings.warn(
        f"classes with fewer than {least} training rows left out, with the rows of each: {first_of(rare)}",
        stacklevel=2,
    )
    validation, test = (None if part is None else common(part) for part in (source.validation, source.test))
    return Source(common(source.train), validation, test, tuple(source.classes[number] for number in kept))


def _check_shares(train: LabelledTexts, classes: tuple[str, ...], fraction: float, held: int) -> None:
    """Raises ValueError unless both sides can have a row of every class; it says what would do."""
    count, fewest = len(train.texts), len(classes)
    rare = [repr(classes[label]) for label, rows in sorted(Counter(train.labels).items()) if rows < 2]
    if rare:
        hint = "; --min-class-rows 2 leaves such classes out" if fewest - len(rare) > 1 else ""
        raise ValueError(
            f"hold-out of {fraction:g}: expected at least 2 rows of every class, got 1 of {first_of(rare)}{hint}"
        )
    if fewest <= held <= count - fewest:
        return
    wanted = f"hold-out of {fraction:g}: expected at least one row per class on either side"
    if count < 2 * fewest:
        raise ValueError(f"{wanted}, got {count:,} rows of {fewest:,} classes")
    # The nearest one of as few decimals as possible.
    tens = (10**digits for digits in range(2, 9))
    if held < fewest:
        shares = (math.ceil(fewest / count * ten) / ten for ten in tens)
    else:
        shares = (math.floor((1 - fewest / count) * ten) / ten for ten in tens)
    fitting = next((share for share in shares if fewest <= math.ceil(share * count) <= count - fewest), 0.5)
    raise ValueError(
        f"{wanted}, got {held:,} of {count:,} rows held out, of {fewest:,} classes; --hold-out {fitting:g} would do"
    )


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
