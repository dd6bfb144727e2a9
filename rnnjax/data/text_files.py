"""Text files of language models: plain or compressed, with the line ends of any system, and the parts in a folder."""

import re
import warnings
from pathlib import Path

from rnnjax.data.encodings import HINT, encoding_of
from rnnjax.data.file_checks import check_file
from rnnjax.data.packed_files import PACKED, suffixes
from rnnjax.data.plain_files import unpacked
from rnnjax.data.source_parts import PART_OF, say_unread
from rnnjax.training.capacity import check_capacity

SUFFIXES = ("txt", "text", "tokens", "raw")
NAME = "|".join(sorted(PART_OF, key=len, reverse=True))
# train.txt, ptb.valid.txt, wiki.test.tokens, wiki-train.raw.gz
TEXT, ENDING = "|".join(SUFFIXES), "|".join(map(re.escape, PACKED))
PART = re.compile(rf"(?:.+[._-])?({NAME})\.(?:{TEXT})(?:{ENDING})?", re.IGNORECASE)
# Anything else that is named after a part, such as train.md or valid.txt.7z, or is a text file.
SIMILAR = re.compile(rf"(?:.+[._-])?(?:{NAME})(?:[._-].+)?|.+\.(?:{TEXT})(?:\.\w+)?", re.IGNORECASE)
NO_DATA = re.compile(r"(?:readme|licen[cs]e|copying|notice|changelog)\b.*", re.IGNORECASE)


def text_parts(folder: Path) -> dict[str, Path]:
    """The files of a folder that are the parts of a text, by part; empty for any other folder.

    Hidden files are not looked at. Warns of files with names like those of parts that are not read. Raises ValueError
    for two files of one part, FileNotFoundError if the training part is missing.
    """
    found: dict[str, Path] = {}
    unread = []
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):
            continue
        if match := PART.fullmatch(file.name):
            part = PART_OF[match[1].lower()]
            if part in found:
                raise ValueError(f"{folder}: expected one file of the {part} part, got {found[part].name}, {file.name}")
            found[part] = file
        elif SIMILAR.fullmatch(file.name) and not NO_DATA.fullmatch(file.name):
            unread.append(file.name)
    if found and "train" not in found:
        raise FileNotFoundError(f"{folder}: expected a file train.txt, got {[file.name for file in found.values()]}")
    if found:
        say_unread(unread, str(folder))
    return found


def read_text(file: Path, given: str | None = None) -> str:
    """The text of a file, which may be compressed, with a newline character at the end of every line.

    In the `given` encoding, or as `found_encoding` finds it; a warning says what it guessed. Raises FileNotFoundError
    if there is no such file, ValueError if it is not in the encoding, is damaged, or is too large.
    """
    if not file.is_file():
        raise FileNotFoundError(f"text: expected a file, got {file}")
    is_packed = suffixes(file)[1] != ""
    check_file(file, is_packed)
    path = unpacked(file)[0] if is_packed else file
    check_capacity(str(file), path.stat().st_size)
    try:
        encoding = encoding_of(path, given, file)
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), str(file))) from error
    try:
        text = path.read_bytes().decode(encoding)
    except UnicodeError as error:
        raise ValueError(f"{file}: expected {encoding}, got: {error}; {HINT}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        count = text.count("\0")
        warnings.warn(f"{file}: {count:,} null characters, the first in line {line}: it may be damaged", stacklevel=2)
    # Windows ends a line with both characters, old Macs with the first one only.
    return text.replace("\r\n", "\n").replace("\r", "\n")
