"""How the files of a source of texts are read: options that switch off what is otherwise found in a file."""

import dataclasses

from rnnjax.data.encodings import check_name

TAB = ("tab", "\\t", "\t")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextFormat:
    """How files are read. What is not given is found in the file; a warning says what was found."""

    columns: str | None = None
    """Column names of a file without a header, in order, separated by commas: label,text."""
    separator: str | None = None
    """Character between the columns, or "tab". Default: a comma in .csv, a tab in .tsv and .txt; if the header has the
    columns with another one of comma, semicolon, tab and |, that one."""
    comment: str | None = None
    """Skip the lines that begin with this. Default: those before the header that begin with #; "" for none."""
    encoding: str | None = None
    """Encoding of text files, such as latin-1. Default: UTF-8; UTF-16 if the file shows it; cp1252 if the file has
    single accented letters and quotation marks of cp1252 in words of plain letters."""
    skip_bad: bool = False
    """Leave out the rows without a text or label."""

    def check(self) -> None:
        """Raises ValueError for names, a separator or an encoding that cannot be used."""
        names = self.names
        if len(set(names)) < len(names) or "" in names:
            raise ValueError(f"columns: expected different names separated by commas, got {self.columns!r}")
        character = self.character
        if character is not None and (len(character) != 1 or character in '"\r\n'):
            raise ValueError(f"separator: expected one character or tab, got {self.separator!r}")
        if self.encoding is not None:
            check_name(self.encoding)

    @property
    def names(self) -> list[str]:
        """The given names of columns."""
        return [] if self.columns is None else [name.strip() for name in self.columns.split(",")]

    @property
    def character(self) -> str | None:
        """The given separator."""
        return "\t" if self.separator in TAB else self.separator


DEFAULT = TextFormat()
