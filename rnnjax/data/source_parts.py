"""The parts of a folder or of a dataset on the hub: training, validation and test, by all their usual names."""

import itertools
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

from rnnjax.data.packed_files import suffixes
from rnnjax.data.table_files import LOADERS, is_data_file
from rnnjax.errors import first_of

PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development", "eval", "evaluation"),
    "test": ("test", "testing"),
}
PART_OF = {name: part for part, names in PARTS.items() for name in names}
_SHARD = re.compile(r"(.+?)[-_.](\d{1,9})[-_]of[-_](\d{1,9})")
# What `save_to_disk` of `datasets` writes: a folder of Arrow files, or a folder with one such folder for each part.
STATE, PARTS_OF_DATASET = "state.json", "dataset_dict.json"


def part_of(name: str) -> str | None:
    """The part that a name stands for: "dev" is validation, "imdb_train" training; None for any other name."""
    found = {PART_OF[word] for word in re.split(r"[^a-z]+", name.lower()) if word in PART_OF}
    return found.pop() if len(found) == 1 else None


def part_files(folder: Path, needs_train: bool = True) -> dict[str, list[Path]]:
    """The files of each part of a folder; several files are shards, in order.

    A file whose name is that of a part comes before one that has it as a word. Warns of the data files that are not
    read. Raises FileNotFoundError without a training part, or if none is needed, without any part; ValueError for two
    files of a part, and a missing shard.
    """
    if (folder / STATE).is_file():
        return {"train": _whole([*_visible(folder, ".arrow")], folder)}
    if (folder / PARTS_OF_DATASET).is_file():
        return _saved_parts(folder, needs_train)
    files = [file for file in _visible(folder) if is_data_file(file)]
    folders = [path.name for path in _visible(folder) if path.is_dir() and path.name.lower() in PART_OF]
    if not any(map(_part, files)) and folders:
        named = by_part(folders, str(folder), needs_train)
        return {part: _in_folder(folder / name) for part, name in named.items()}
    if not any(map(_part, files)) and (folder / "data").is_dir():
        warnings.warn(f"{folder}: read from its folder data", stacklevel=2)
        return part_files(folder / "data", needs_train)
    found: dict[str, list[Path]] = {}
    for part, names in PARTS.items():
        named = [file for file in files if _part(file) == part]
        exact = [file for file in named if _stem(file)[0].lower() in names]
        groups = [list(group) for _, group in itertools.groupby(sorted(exact or named, key=_group), key=_group)]
        if len(groups) > 1:
            got = sorted(file.name for group in groups for file in group)
            raise ValueError(f"{folder}: expected one file {part}.*, got {got}")
        if groups:
            found[part] = _whole(groups[0], folder)
            if not exact:
                warnings.warn(f"{folder}: {groups[0][0].name} is read as the {part} part", stacklevel=2)
    read = {file for group in found.values() for file in group}
    if not found or (needs_train and "train" not in found):
        parts = "train.*" if needs_train else "train.*, validation.* or test.*"
        names = f" among {[file.name for file in files[:10]]}; give one of them as the source" if files else ""
        raise FileNotFoundError(f"{folder}: expected a file {parts} of type {', '.join(LOADERS)}, found none{names}")
    say_unread([file.name for file in files if file not in read], str(folder))
    return found


def by_part(names: Iterable[str], where: str, needs_train: bool = True) -> dict[str, str]:
    """The name of each part among these names. Warns of the others; raises as `part_files`."""
    names = list(names)
    found: dict[str, str] = {}
    for name in names:
        part = PART_OF.get(name.lower()) or part_of(name)
        if part is not None and part in found:
            raise ValueError(f"{where}: expected one part {part}, got {found[part]} and {name}; :NAME reads one part")
        if part is not None:
            found[part] = name
    if not found or (needs_train and "train" not in found):
        parts = "train" if needs_train else "train, validation or test"
        raise FileNotFoundError(f"{where}: expected a part {parts}, got {names[:10]}; :NAME reads one part")
    say_unread([name for name in names if name not in found.values()], where)
    return found


def _saved_parts(folder: Path, needs_train: bool) -> dict[str, list[Path]]:
    names = [path.name for path in _visible(folder) if path.is_dir()]
    parts = by_part(names, str(folder), needs_train)
    return {part: _whole([*_visible(folder / name, ".arrow")], folder / name) for part, name in parts.items()}


def _in_folder(folder: Path) -> list[Path]:
    """All data files of the folder of a part, in the order of their names. Raises ValueError if there is none."""
    files = [file for file in _visible(folder) if is_data_file(file)]
    if not files:
        raise ValueError(f"{folder}: expected a file of type {', '.join(LOADERS)}, found none")
    return files


def _visible(folder: Path, suffix: str = "") -> list[Path]:
    return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".") and name.endswith(suffix)]


def _stem(file: Path) -> tuple[str, int, int]:
    """The name of a file without suffixes, its number as a shard, and the number of shards (0: it is no shard)."""
    stem = file.name.removesuffix(suffixes(file)[1]) if suffixes(file)[1] else file.name
    stem = Path(stem).stem if Path(stem).suffix.lower() in LOADERS else stem
    shard = _SHARD.fullmatch(stem)
    return (stem, 0, 0) if shard is None else (shard[1], int(shard[2]), int(shard[3]))


def _part(file: Path) -> str | None:
    return part_of(_stem(file)[0])


def _group(file: Path) -> tuple[str, int, tuple[str, str]]:
    """What the shards of a part have in common."""
    stem, _, count = _stem(file)
    return stem.lower() if count else file.name, count, suffixes(file)


def _whole(files: list[Path], folder: Path) -> list[Path]:
    """The shards in order. Raises ValueError if one is missing."""
    if not files:
        raise ValueError(f"{folder}: expected .arrow files, as `save_to_disk` writes them, got none")
    _, _, count = _stem(files[0])
    if count == 0:
        if len(files) > 1:
            raise ValueError(f"{folder}: expected one file, got {[file.name for file in files]}")
        return files
    files = sorted(files, key=lambda file: _stem(file)[1])
    numbers = [_stem(file)[1:] for file in files]
    first = min(numbers[0][0], 1)
    if len(files) != count or numbers != [(number, count) for number in range(first, first + count)]:
        raise ValueError(f"{folder}: expected all {count:,} shards of {_stem(files[0])[0]}, got {len(files):,} files")
    return files


def say_unread(names: list[str], where: str) -> None:
    """Warns of files or parts that are not read."""
    if names:
        warnings.warn(f"{where}: not read: {first_of(names)}", stacklevel=2)
