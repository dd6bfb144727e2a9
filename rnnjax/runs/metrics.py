"""Reads the lines of metrics.jsonl, and reports damaged ones."""

import json
import math
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from rnnjax.runs.seals import LONGEST_LINE, MOST_METRICS, check_line
from rnnjax.untrusted import kind_of, open_plain

# In a final line: whether the score, its first number, is better the higher it is.
HIGHEST = "highest"
# The kinds of lines that are read, and the field that each must have. All other fields are numbers with any names,
# because the names of the metrics depend on the objective.
NEEDED = {"step": "step", "epoch": "epoch", "final": None}
FLAGS, WORDS = ("skipped", "clipped", HIGHEST), ("kind", "seal", "part", "network")
WHOLE = ("step", "epoch")
LARGEST_WHOLE = 2**53
Line = dict[str, float]


class Metrics(NamedTuple):
    """The steps and epochs of a run, in order, and its final scores by part."""

    steps: list[Line]
    epochs: list[Line]
    finals: dict[str, Line]


def read_metrics(file: Path, running: bool, problems: list[str], last: str | None = None) -> Metrics:
    """The steps, epochs and final scores in the file; empty if there is no file. Damage is reported in `problems`.

    After a resumption from an earlier step, older lines of that step and later ones are ignored. While a run is
    `running`, its last line may be incomplete. `last` is the seal of the last line, if it is known.
    """
    metrics = Metrics([], [], {})
    if not is_plain(file, problems):
        return metrics
    damaged: list[str] = []
    for kind, line, part in _lines(file, running, damaged, last):
        if kind == "step":
            _go_back(metrics.steps, "step", line["step"])
            _go_back(metrics.epochs, "step", line["step"])
            metrics.steps.append(line)
        elif kind == "epoch":
            _go_back(metrics.epochs, "epoch", line["epoch"])
            _go_back(metrics.steps, "step", line.get("step", math.inf) + 1)  # the line of its last step comes before it
            metrics.epochs.append(line)
        else:
            metrics.finals[part] = line
    if damaged:
        more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
        problems.append(f"{file.name}: {damaged[0]}{more}")
    return metrics


def read_lines(file: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of one kind, not checked; empty if there is no file. Raises as `open_plain`."""
    if kind_of(file) is None:
        return []
    with open_plain(file, MOST_METRICS) as stream:
        entries = map(_entry, _texts(stream))
        return [entry for entry in entries if entry is not None and entry["kind"] == kind]


def _go_back(lines: list[Line], name: str, number: float) -> None:
    while lines and lines[-1].get(name, -1) >= number:
        lines.pop()


def _lines(file: Path, running: bool, damaged: list[str], last: str | None) -> Iterator[tuple[str, Line, str]]:
    """The kind, numbers and part of every line of the kinds in NEEDED; damage is reported in `damaged`."""
    try:
        stream = open_plain(file, MOST_METRICS)
    except OSError as error:
        damaged.append(str(error.strerror))
        return
    except ValueError as error:
        damaged.append(str(error).removeprefix(f"{file}: "))
        return
    seal = ""
    with stream:
        for count, text in enumerate(_texts(stream), start=1):
            entry = _entry(text)
            seal, right = check_line(text, seal)
            if entry is None:
                if text.endswith("\n") or not running:
                    damaged.append(f"line {count}: expected a JSON object with a kind")
                continue
            if not right and (text.endswith("\n") or not running):
                damaged.append(f"line {count}: expected the line that was written, got another one (wrong seal)")
            kind = entry["kind"]
            if kind not in NEEDED:  # specific to a study
                continue
            line, needed = _numbers(entry, f"line {count}", damaged), NEEDED[kind]
            if needed is None or needed in line:
                yield kind, line, str(entry.get("part", "?"))
            elif entry.get(needed) is None:
                damaged.append(f"line {count}: expected {needed}, found none")
    if last is not None and seal != last:
        damaged.append(f"expected a last line with the seal {last}, found {seal or 'none'}")


def _texts(stream: BufferedReader) -> Iterator[str]:
    """The lines; a line longer than LONGEST_LINE is split into pieces, which are then invalid JSON."""
    while line := stream.readline(LONGEST_LINE):
        yield line.decode("utf-8", errors="replace")


def is_plain(file: Path, problems: list[str]) -> bool:
    """Whether it is a regular file; a link (which could point anywhere) or a folder is reported as a problem."""
    kind = kind_of(file)
    if kind not in ("a file", None):
        problems.append(f"{file.name}: expected a file, got {kind}")
    return kind == "a file"


def _entry(text: str) -> dict[str, Any] | None:
    """The JSON object of a line; None if it is not a JSON object with a kind."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("kind"), str) else None


def _numbers(entry: dict[str, Any], place: str, damaged: list[str]) -> Line:
    """The finite numbers of a line; for several seeds, their mean."""
    line: Line = {}
    for name, value in entry.items():
        if name in WORDS:
            continue
        if isinstance(value, list) and name not in WHOLE:  # the values of several seeds
            if numbers := [own for own in value if is_number(own)]:
                line[name] = sum(numbers) / len(numbers)
            if not all(own is None or is_number(own) for own in value):
                damaged.append(f"{place}: {name}: expected numbers, got {str(value)[:20]!r}")
            continue
        if name in FLAGS and isinstance(value, bool):
            line[name] = float(value)
        elif is_number(value) and (name not in WHOLE or is_whole(value)):
            line[name] = value
        elif value is not None and (name in WHOLE or not isinstance(value, float)):
            expected = "a whole number" if name in WHOLE else "a number"
            damaged.append(f"{place}: {name}: expected {expected}, got {str(value)[:20]!r}")
    return line


def is_number(value: Any) -> TypeGuard[float]:
    """Whether the value is a number that is finite as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def finite(values: Iterable[float]) -> list[float | None]:
    """The numbers for JSON: None in place of numbers that are not finite."""
    return [float(value) if math.isfinite(value) else None for value in values]


def known(values: Iterable[float | None]) -> list[float]:
    """The reverse of `finite`: NaN in place of None."""
    return [math.nan if value is None else value for value in values]


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether the value is a whole number from 0 to LARGEST_WHOLE."""
    return is_number(value) and value == int(value) and 0 <= value <= LARGEST_WHOLE
