"""Seals: digests that files of a run hold of themselves, by which whoever reads one notices what has changed.

They find damage and what was changed by hand. They are no signatures: whoever knows the format can seal anew.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from rnnjax.untrusted import open_plain

SEAL = "sha256"
# Of a line only so many digits: a line a step is written.
LINE_DIGITS = 16
MARKER = ', "seal": "'
LONGEST_LINE = 1 << 24  # bytes
MOST_METRICS = 1 << 32  # bytes, of some 25 million steps


def digest(values: Mapping[str, Any], but: Collection[str] = ()) -> str:
    """The SHA-256 of JSON values, in whatever order they stand, without those of some names."""
    chosen = {name: value for name, value in values.items() if name not in but}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from JSON, and their digest."""
    plain = json.loads(json.dumps(values, default=str))
    return {**plain, SEAL: digest(plain, (SEAL,))}


def unsealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without their digest. Raises ValueError where it is not theirs."""
    plain = {name: value for name, value in values.items() if name != SEAL}
    try:
        now = digest(plain)
    except RecursionError as error:  # what could be read may still be too deep to be written
        raise ValueError("expected JSON, got lists or objects nested too deeply") from error
    if (written := values.get(SEAL)) != now:
        raise ValueError(f"expected what was written ({SEAL} {str(written)[:12]}), found other values ({now[:12]})")
    return plain


class Mark(NamedTuple):
    """How far sealed lines go: their bytes, and the seal of the last one."""

    bytes: int = 0
    seal: str = ""

    @classmethod
    def from_json(cls, values: Any) -> "Mark":
        """From a list of both. Raises ValueError for anything else."""
        known = isinstance(values, list) and list(map(type, values)) == [int, str] and values[0] >= 0
        if not known:
            raise ValueError(f"mark: expected bytes and a seal, got {str(values)[:60]}")
        return cls(*values)


START = Mark()


class SealedLines:
    """A file of JSON objects, a line each, that is appended to from a mark on.

    The seal of a line is of that line and of the one before it: none can be changed, moved or taken out of the middle.
    """

    def __init__(self, file: TextIO, mark: Mark = START):
        self._file, self.mark = file, mark

    def write(self, values: Mapping[str, Any]) -> None:
        """A line. Raises OSError where it cannot be written, ValueError for numbers that JSON does not have."""
        line, seal = sealed_line(json.dumps(values, allow_nan=False), self.mark.seal)
        self._file.write(line)
        self.mark = Mark(self.mark.bytes + len(line), seal)

    def flush(self) -> None:
        self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()

    def __enter__(self) -> "SealedLines":
        return self

    def __exit__(self, *stopped: object) -> None:
        self._file.close()


def sealed_line(text: str, before: str) -> tuple[str, str]:
    """The line of a JSON object in ASCII, and its seal; `before` is that of the line before it."""
    body = text.removesuffix("}")
    seal = _seal(body, before)
    return f"{body}{_end(seal)}", seal


def check_line(line: str, before: str) -> tuple[str, bool]:
    """The seal that a line says (or the one before, where it has none), and whether it is this line's after that."""
    body, marker, end = line.rpartition(MARKER)
    return end[:LINE_DIGITS] if marker else before, marker + end == _end(_seal(body, before))


def check_lines(file: Path, mark: Mark) -> None:
    """Raises ValueError that names the first line, of those up to the mark, that is not as it was written."""
    seal, left, number = "", mark.bytes, 0
    with open_plain(file, MOST_METRICS) as opened:
        while left > 0:
            line = opened.readline(min(left, LONGEST_LINE))
            number, left = number + 1, left - len(line)
            seal, right = check_line(line.decode(errors="replace"), seal)
            if not right:
                found = "another one (wrong seal)" if line else "the end of the file"
                raise ValueError(f"{file}: line {number}: expected the line that was written, got {found}")
    if seal != mark.seal:
        raise ValueError(f"{file}: line {number}: expected the seal {mark.seal}, got {seal}: lines of another run")


def _seal(body: str, before: str) -> str:
    return hashlib.sha256(f"{before}{body}".encode(errors="replace")).hexdigest()[:LINE_DIGITS]


def _end(seal: str) -> str:
    return f'{MARKER}{seal}"}}\n'
