"""The encoding of a text file: given, marked, or found by a rule that is strict enough to refuse damaged files."""

import codecs
import re
import warnings
from pathlib import Path

# The longer marks first: that of UTF-16 begins that of UTF-32.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BLOCK = 1 << 20
HINT = "--encoding names another one, such as latin-1, cp1250 (Polish), cp1251 (Russian), gb18030 or shift_jis"
# What is not a Western text in cp1252. UTF-8 with a damaged byte has other characters of two or three bytes, or a part
# of one. Other alphabets have words without plain letters; other code pages have signs within words.
_LETTER = rb"[\xc0-\xd6\xd8-\xf6\xf8-\xfe]"
_NOT_WESTERN = re.compile(
    rb"[\x81\x8d\x8f\x90\x9d\xd0\xde\xf0\xfd-\xff]"  # undefined, or letters of Icelandic and Turkish only
    rb"|[\xc2-\xd4\xd7-\xdb][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}"  # UTF-8
    rb"|[\xc2\xc3](?![A-Z\xc0-\xde])|[\xa6\xa8\xac\xaf\xb4\xb8\xbc-\xbe][A-Za-z]"  # one byte of UTF-8
    rb"|" + _LETTER + rb"{3}|[\x80-\xff]{4}"
    rb"|[a-z][\x8a\x8c\x8e\x9f\xc0-\xd6\xd8-\xde](?![A-Z])"  # a capital within a word
    rb"|[a-z][\x82-\x84\x86-\x89\x8b]|[a-z][\xa1-\xac\xae-\xb6\xb8-\xbf][a-z]"  # a sign within a word
)
_CUT_OFF = re.compile(rb"[\xc0-\xff][\x80-\xbf]{0,2}\Z")


def check_name(encoding: str) -> None:
    """Raises ValueError for a name of no encoding of texts."""
    try:
        b"text".decode(encoding, "replace")
    except (LookupError, UnicodeError) as error:
        raise ValueError(f"encoding: expected a name such as utf-8, latin-1 or utf-16, got {encoding!r}") from error


def found_encoding(path: Path, given: str | None) -> tuple[str, str]:
    """(encoding, how it was found); "" if nothing was guessed: the encoding was given, has a mark, or is UTF-8.

    Raises ValueError if a file without a mark is neither UTF-8, nor UTF-16 of mostly ASCII characters, nor a Western
    text in cp1252.
    """
    with path.open("rb") as file:
        start = file.read(4096)
    if given is not None:
        is_utf8 = codecs.lookup(given).name == "utf-8"
        return ("utf-8-sig" if is_utf8 and start.startswith(codecs.BOM_UTF8) else given), ""
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return encoding, ""
    for encoding, zeros, others in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        if zeros.count(0) > 0.8 * len(zeros) and 0 not in others:
            return encoding, "every other byte is zero"
    try:
        check_encoding(path, "utf-8")
    except ValueError:
        if not _is_western(path):
            raise
        return "cp1252", "not UTF-8, but fits a Western text"
    return "utf-8", ""


def encoding_of(path: Path, given: str | None, where: Path) -> str:
    """The encoding of a file, or of its copy `path`; a warning says what was guessed. Raises as `found_encoding`.

    Another one than UTF-8 is taken as given, with a warning if the file is UTF-8: it would have other characters.
    """
    encoding, how = found_encoding(path, given)
    if given is not None and not codecs.lookup(given).name.startswith("utf-8") and _is_utf8_beyond_ascii(path):
        warnings.warn(f"{where}: read as {given}, as given, but it is valid UTF-8", stacklevel=2)
    if how:
        warnings.warn(f"{where}: read as {encoding}: {how} (--encoding to change)", stacklevel=2)
    return encoding


def check_encoding(path: Path, encoding: str) -> None:
    """Raises ValueError for a file with bytes that are invalid in the encoding."""
    decoder, done, line = codecs.getincrementaldecoder(encoding)(), 0, 1
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                name = "UTF-8" if encoding == "utf-8" else encoding
                line += block.count(b"\n", 0, error.start)
                place = f"near offset {done + error.start}, line {line}"
                raise ValueError(f"{path}: expected {name}, got an invalid byte {place}; {HINT}") from error
            if not block:
                return
            done, line = done + len(block), line + block.count(b"\n")


def _is_utf8_beyond_ascii(path: Path) -> bool:
    try:
        check_encoding(path, "utf-8")
    except ValueError:
        return False
    with path.open("rb") as file:
        return not all(line.isascii() for line in file)


def _is_western(path: Path) -> bool:
    before = b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if b"\0" in block or _NOT_WESTERN.search(before + block):
                return False
            before = block[-3:]
    return _CUT_OFF.search(before) is None
