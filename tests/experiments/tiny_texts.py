"""Texts of a few words, that a small network learns in seconds."""

import numpy as np

LINES = ["the cat sat on the mat", "a dog ran to the cat", "the dog sat", "<unk> ran to a mat N times"]


def text_of(count, seed=0):
    return "".join(f" {LINES[line]} \n" for line in np.random.default_rng(seed).integers(0, 4, count))


def write_treebank(folder):
    """A folder as the Penn Treebank's: without a test part."""
    (folder / "ptb.train.txt").write_text(text_of(60))
    (folder / "ptb.valid.txt").write_text(text_of(12, seed=1))
    return folder
