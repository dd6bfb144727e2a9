"""Seals: digests inside the files of a run, with which a reader detects changes.

They detect damage and manual edits. They are not signatures: somebody who knows the format can compute them again.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from rnnjax.untrusted import open_plain

SEAL = "sha256"
# Lines have shorter seals, because there is one line for each step.
LINE_DIGITS = 16
MARKER = ', "seal": "'
LONGEST_LINE = 1 << 24  # bytes
MOST_METRICS = 1 << 32  # bytes, of some 25 million steps


def digest(values: Mapping[str, Any], but: Collection[str] = ()) -> str:
    """The SHA-256 of JSON values, independent of their order, without the names in `but`."""
    chosen = {name: value for name, value in values.items() if name not in but}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are read from JSON, with their digest added."""
    plain = json.loads(json.dumps(values, default=str))
    return {**plain, SEAL: digest(plain, (SEAL,))}


def unsealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without their digest. Raises ValueError if the digest is wrong."""
    plain = {name: value for name, value in values.items() if name != SEAL}
    try:
        now = digest(plain)
    except RecursionError as error:  # JSON that can be read may be nested too deeply to be written
        raise ValueError("expected JSON, got lists or objects nested too deeply") from error
    if (written := values.get(SEAL)) != now:
        raise ValueError(f"expected what was written ({SEAL} {str(written)[:12]}), found other values ({now[:12]})")
    return plain


class Mark(NamedTuple):
    """The end of sealed lines: their size in bytes, and the seal of the last one."""

    bytes: int = 0
    seal: str = ""

    @classmethod
    def from_json(cls, values: Any) -> "Mark":
        """The mark from the list [bytes, seal]. Raises ValueError for anything else."""
        known = isinstance(values, list) and list(map(type, values)) == [int, str] and values[0] >= 0
        if not known:
            raise ValueError(f"mark: expected bytes and a seal, got {str(values)[:60]}")
        return cls(*values)


START = Mark()


class SealedLines:
    """A file of JSON objects, one per line, to which lines are appended after a mark.

    The seal of a line depends on the line and on the seal before it, so that a line that is changed, moved or removed
    (except at the end) is detected.
    """

    def __init__(self, file: TextIO, mark: Mark = START):
        self._file, self.mark = file, mark

    def write(self, values: Mapping[str, Any]) -> None:
        """Writes a line. Raises OSError if it cannot be written, ValueError for numbers that are not finite."""
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
    """The sealed line of a JSON object in ASCII, and its seal; `before` is the seal of the line before it."""
    body = text.removesuffix("}")
    seal = _seal(body, before)
    return f"{body}{_end(seal)}", seal


def check_line(line: str, before: str) -> tuple[str, bool]:
    """The seal in a line (`before` if it has none), and whether it is correct after the seal `before`."""
    body, marker, end = line.rpartition(MARKER)
    return end[:LINE_DIGITS] if marker else before, marker + end == _end(_seal(body, before))


def check_lines(file: Path, mark: Mark) -> None:
    """Raises ValueError, with the line number, for the first line up to the mark that was changed."""
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
