"""The result of a finished run: arrays and JSON values in a sealed folder, which is only read in its own run."""

import json
import os
import shutil
import uuid
from typing import Any

from rnnjax.files import remove, write_text
from rnnjax.runs.arrays import load_arrays, save_arrays
from rnnjax.runs.checksums import check_seal, seal
from rnnjax.runs.folder import MOST_ARTIFACT, RunFolder
from rnnjax.runs.places import BELONGS, check_belongs
from rnnjax.untrusted import kind_of, read_json

ARRAYS, VALUES = "arrays", "values.json"


def save_result(folder: RunFolder, name: str, values: Any, arrays: Any) -> None:
    """Writes JSON values and a tree of arrays to the folder `name` of a run; an existing one is replaced.

    Raises ValueError for numbers that are not finite.
    """
    path = folder.path / name
    writing = path.with_name(f".{uuid.uuid4().hex}-{name}")
    writing.mkdir()
    try:
        save_arrays(writing / ARRAYS, arrays)
        write_text(writing / VALUES, json.dumps(values, allow_nan=False))
        write_text(writing / BELONGS, json.dumps(folder.seals()))
        seal(writing)
        if kind_of(path) is not None:
            remove(path)
        os.rename(writing, path)
    except BaseException:
        shutil.rmtree(writing, ignore_errors=True)
        raise


def load_values(folder: RunFolder, name: str) -> Any:
    """The JSON values of a result.

    Raises FileNotFoundError for a run without this result, ValueError if a file was changed or is of another run.
    """
    path = folder.path / name
    if kind_of(path) is None:
        raise FileNotFoundError(
            f"run folder: expected {name}/ in {folder.path}, found none: a run writes it when it has finished"
        )
    check_seal(path)
    check_belongs(path, folder.seals(), "the result")
    return read_json(path / VALUES, MOST_ARTIFACT)


def load_result_arrays(folder: RunFolder, name: str, template: Any) -> Any:
    """The arrays of a result, after `load_values` has checked it. Raises as `load_arrays`."""
    return load_arrays(folder.path / name / ARRAYS, template)
