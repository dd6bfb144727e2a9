"""A small labelled file that a small network learns in seconds."""

import csv

import numpy as np

GOOD = ["fine", "lovely", "great", "warm"]
BAD = ["dull", "awful", "poor", "cold"]
FILLER = ["the", "film", "was", "a", "plot", "with", "actors", "and", "scenes"]
TINY = [
    "--embedding",
    "8",
    "--hidden",
    "8",
    "--longest",
    "20",
    "--buckets",
    "1",
    "--batch-size",
    "16",
    "--devices",
    "2",
]


def write_reviews(path, rows=120, seed=0, classes=(0, 1)):
    """Sentences whose class is what their one telling word says."""
    random = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            words = [*random.choice(FILLER, random.integers(2, 12)), str(random.choice((BAD, GOOD)[row % 2]))]
            random.shuffle(words)
            writer.writerow([f"{' '.join(words)} {row}", classes[row % 2]])
    return path
