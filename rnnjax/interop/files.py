"""Reading weight files, only in formats that cannot run code."""

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.extras import extra
from rnnjax.interop.template import check_floating

Location = str | os.PathLike[str]


def _library(name: str, path: Path) -> Any:
    with extra("interop", str(path)):
        return importlib.import_module(name)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"path: expected a file, got {path}")


def _check_suffix(path: Path, suffix: str) -> None:
    if not path.name.endswith(suffix):
        raise ValueError(
            f"path: expected a {suffix} file, got {path}: other formats may contain a pickle or a program, "
            "which can run code when they are read"
        )


def read_safetensors(location: Location) -> dict[str, np.ndarray]:
    """The arrays of a .safetensors file by name.

    Raises FileNotFoundError if there is no such file; ValueError for a different suffix or a damaged file;
    ModuleNotFoundError without the package safetensors.
    """
    path = Path(location)
    _check_suffix(path, ".safetensors")
    library = _library("safetensors.numpy", path)
    _check_file(path)
    try:
        return library.load_file(path)
    except importlib.import_module("safetensors").SafetensorError as error:
        raise ValueError(f"{path}: expected a complete .safetensors file: {error}") from error


def read_weights_h5(location: Location) -> dict[str, np.ndarray]:
    """The arrays of a Keras .weights.h5 file by path in the file, without those of the optimizer.

    Raises ValueError for a different suffix, a damaged file, or content that Keras does not write (links, data outside
    the file, arrays that are not floating-point); ModuleNotFoundError without h5py.
    """
    path = Path(location)
    _check_suffix(path, ".weights.h5")
    h5py = _library("h5py", path)
    _check_file(path)
    try:
        with h5py.File(path, "r") as file:
            return dict(_datasets(h5py, file, "", set()))
    except (OSError, RuntimeError, KeyError, TypeError) as error:  # raised by h5py for damaged files
        # Errors of the operating system (no such file) have an errno, errors about a damaged file do not.
        if getattr(error, "errno", None) is not None:
            raise
        raise ValueError(f"{path}: expected a complete HDF5 file: {error}") from error


def _datasets(h5py: Any, group: Any, prefix: str, seen: set[Any]):
    for name in group:
        key = f"{prefix}{name}"
        if key == "optimizer":
            continue
        # Checked before the entry is opened, because a link may point to any file of this machine.
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{key}: expected data in this file, got {type(link).__name__}")
        entry = group[name]
        # A group with two names may create a loop.
        if entry.id in seen:
            raise ValueError(f"{key}: expected a separate entry, got a second name of another entry")
        seen.add(entry.id)
        if isinstance(entry, h5py.Group):
            yield from _datasets(h5py, entry, f"{key}/", seen)
        else:
            yield key, _plain_array(h5py, key, entry)


def _plain_array(h5py: Any, key: str, entry: Any) -> np.ndarray:
    if not isinstance(entry, h5py.Dataset):
        raise ValueError(f"{key}: expected an array, got {type(entry).__name__}")
    check_floating(key, entry.dtype)
    if entry.external or entry.is_virtual:
        raise ValueError(f"{key}: expected data in this file, got an array stored outside of it")
    # A few bytes can declare an array that fills all memory.
    stored = entry.id.get_storage_size()
    if stored < entry.nbytes:
        raise ValueError(f"{key}: expected {entry.nbytes} bytes, uncompressed as Keras writes them, got {stored}")
    return entry[()]
