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


STARS = (["horrid", "vile"], BAD, ["fair", "mixed"], GOOD, ["superb", "perfect"])


def write_reviews(path, rows=120, seed=0, classes=(0, 1), telling=(BAD, GOOD)):
    """Sentences whose class is what their one telling word says."""
    random = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            words = [*random.choice(FILLER, random.integers(2, 12)), str(random.choice(telling[row % len(telling)]))]
            random.shuffle(words)
            writer.writerow([f"{' '.join(words)} {row}", classes[row % len(telling)]])
    return path


def write_stars(path, rows=200, seed=0):
    """Reviews of 1 to 5 stars."""
    return write_reviews(path, rows, seed, classes=(1, 2, 3, 4, 5), telling=STARS)
