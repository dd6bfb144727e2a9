"""Text files of language models: plain or gzipped, with the line ends of any system, and the parts in a folder."""

import gzip
import re
import zlib
from pathlib import Path
from typing import NamedTuple

from rnnjax.data.file_checks import check_file, check_stored, most_bytes
from rnnjax.training.capacity import check_capacity

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev", "devel"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
SUFFIXES = ("txt", "text", "tokens", "raw")
NAME = "|".join(sorted(PARTS, key=len, reverse=True))
# train.txt, ptb.valid.txt, wiki.test.tokens, wiki-train.raw.gz
PART = re.compile(rf"(?:.+[._-])?({NAME})\.(?:{'|'.join(SUFFIXES)})(?:\.gz)?", re.IGNORECASE)
# Anything else that is named after a part, such as train.md or valid.txt.bz2, or is a text file.
SIMILAR = re.compile(rf"(?:.+[._-])?(?:{NAME})(?:[._-].+)?|.+\.(?:{'|'.join(SUFFIXES)})(?:\.\w+)?", re.IGNORECASE)
NO_DATA = re.compile(r"(?:readme|licen[cs]e|copying|notice|changelog)\b.*", re.IGNORECASE)
GZIP = b"\x1f\x8b"


class TextParts(NamedTuple):
    """The files of a folder that are parts of a text, by part, and the names of those that look like it and are not."""

    files: dict[str, Path]
    unread: tuple[str, ...]


def text_parts(folder: Path) -> TextParts:
    """The parts of a text in a folder; no files for any other folder. Hidden files are not looked at.

    Raises ValueError for two files of one part, FileNotFoundError if the training part is missing.
    """
    found: dict[str, Path] = {}
    unread = []
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):
            continue
        if match := PART.fullmatch(file.name):
            part = PARTS[match[1].lower()]
            if part in found:
                raise ValueError(f"{folder}: expected one file of the {part} part, got {found[part].name}, {file.name}")
            found[part] = file
        elif SIMILAR.fullmatch(file.name) and not NO_DATA.fullmatch(file.name):
            unread.append(file.name)
    if found and "train" not in found:
        raise FileNotFoundError(f"{folder}: expected a file train.txt, got {[file.name for file in found.values()]}")
    return TextParts(found, tuple(unread))


def read_text(file: Path) -> str:
    """The text of a UTF-8 file, which may be compressed by gzip; every line ends with a newline character.

    Raises FileNotFoundError if there is no such file, ValueError if it is not UTF-8, is damaged, or is too large.
    """
    if not file.is_file():
        raise FileNotFoundError(f"text: expected a file, got {file}")
    with file.open("rb") as opened:
        packed = opened.read(len(GZIP)) == GZIP
    content = _unpacked(file) if packed else _plain(file)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected UTF-8, got an invalid byte at offset {error.start}") from error
    # Windows ends a line with both characters, old Macs with the first one only.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain(file: Path) -> bytes:
    check_file(file)
    check_capacity(str(file), file.stat().st_size)
    return file.read_bytes()


def _unpacked(file: Path) -> bytes:
    check_stored(file)
    most = most_bytes(file.stat().st_size)
    try:
        with gzip.open(file) as opened:
            content = opened.read(most + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{file}: not readable as gzip: {error}") from error
    if len(content) > most:
        raise ValueError(f"{file}: expected at most {most:,} bytes of such a file, unpacked, got more")
    check_capacity(str(file), len(content))
    return content
