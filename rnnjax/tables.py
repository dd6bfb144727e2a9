"""Tables as text: aligned for a terminal, and in Markdown."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rnnjax.terminal import printable


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], words: Collection[str] = ()) -> str:
    """Rows under headers: to the left the first column and those whose headers are `words`, to the right the others."""
    cells = [[printable(str(cell)) for cell in row] for row in (headers, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if i and header not in words else cell.ljust(width)
            for i, (header, cell, width) in enumerate(zip(headers, row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def markdown(headers: Sequence[object], rows: Iterable[Sequence[object]], words: int | None = None) -> str:
    """Rows under headers in Markdown. None is an empty cell; a cell is one line, with its `|` escaped.

    The first `words` columns are aligned to the left and the others to the right. Without `words`, the renderer aligns
    them.
    """

    def line(cells: Iterable[object]) -> str:
        texts = ("" if cell is None else " ".join(str(cell).replace("|", "\\|").split()) for cell in cells)
        return f"| {' | '.join(texts)} |"

    left = len(headers) if words is None else words
    return "\n".join(map(line, (headers, ["---"] * left + ["---:"] * (len(headers) - left), *rows)))
