"""How the files of a source of texts are read: options that switch off what is otherwise found in a file."""

import dataclasses

from rnnjax.data.encodings import check_name

SEPARATED, BINARY = (".csv", ".tsv", ".tab", ".txt"), (".parquet", ".arrow")  # the suffixes of files
TAB = ("tab", "\\t", "\t")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextFormat:
    """How files are read. What is not given is found in the file; a warning says what was found."""

    columns: str | None = None
    """Column names of a CSV, TSV or .txt file without a header, in order, separated by commas: label,text. If the first
    line has these names, its order is that of the columns."""
    separator: str | None = None
    """Character between the columns, or "tab". Default: what a first line sep=; says; a comma in .csv, a tab in .tsv
    and .txt; if the header has the columns with another one of comma, semicolon, tab and |, that one."""
    comment: str | None = None
    """Skip the lines that begin with this. Default: those before the header that begin with #; "" for none."""
    encoding: str | None = None
    """Encoding of text files, such as latin-1 or cp1251. Default: UTF-8; UTF-16 if the file shows it; cp1252 if the
    file has single accented letters and quotation marks of cp1252 in words of plain letters."""
    skip_bad: bool = False
    """Leave out the rows without a text or label, or with a null character in the text."""

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

    def check_suffix(self, suffix: str, where: str) -> None:
        """Raises ValueError for an option that a file of this kind, or with no suffix no file, has no use for."""
        got = f"got {suffix or 'no file'!r}"
        for option in ("columns", "separator", "comment"):
            if getattr(self, option) is not None and suffix not in SEPARATED:
                hint = "; --text-column and --label-column name its columns" if option == "columns" else ""
                kinds = ", ".join(SEPARATED)
                raise ValueError(f"{where}: expected a file of type {kinds} with --{option}, {got}{hint}")
        if self.encoding is not None and suffix in ("", *BINARY):
            raise ValueError(f"{where}: expected a text file with --encoding, {got}")

    @property
    def names(self) -> list[str]:
        """The given names of columns."""
        return [] if self.columns is None else [name.strip() for name in self.columns.split(",")]

    @property
    def character(self) -> str | None:
        """The given separator."""
        return "\t" if self.separator in TAB else self.separator


DEFAULT = TextFormat()
