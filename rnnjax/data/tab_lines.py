"""Labelled sentences as plain lines, `text<TAB>label`: no header, and no character that quotes others."""

from pathlib import Path

import datasets


def read_tab_lines(path: Path, text_column: str, label_column: str) -> datasets.Dataset:
    """The lines of a file as rows of the two columns.

    A line ends at a newline and nowhere else, and is split at its last tab: quotes, further tabs and other
    separators (U+0085, say) are text. A first line that holds the two columns' names is left out. Raises
    ValueError that names the first line without a tab.
    """
    lines = path.read_bytes().decode("utf-8-sig").removesuffix("\n").split("\n")
    texts, labels = [], []
    for number, line in enumerate(lines, start=1):
        text, tab, label = line.removesuffix("\r").rpartition("\t")
        if not tab:
            raise ValueError(f"{path}, line {number}: expected a text, a tab and a label, got {label!r}")
        if number > 1 or (text, label) != (text_column, label_column):
            texts.append(text)
            labels.append(label)
    return datasets.Dataset.from_dict({text_column: texts, label_column: labels})
