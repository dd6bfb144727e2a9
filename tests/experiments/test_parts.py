"""The parts of a text study: what tells one set of data from another, and each process's share of a batch."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from tiny_reviews import write_reviews

from experiments.sentiment.config import TextClassification
from experiments.sentiment.data import Loader, digest, facts, fingerprint, prepare, split_source
from rnnjax.data import LabelledTexts, StoredTexts, load_source


def tiny(source, **changes):
    return TextClassification(**{"source": str(source), "longest": 8, "buckets": 2, "batch_size": 10, **changes})


@pytest.mark.parametrize("rows", [0, 1, 1000, 2001])
def test_a_digest_is_that_of_the_whole_parts_json(rows):
    part = LabelledTexts([f'text {n} "é\\u2028' for n in range(rows)], [n % 2 for n in range(rows)])
    assert digest(part) == hashlib.sha256(json.dumps([part.texts, part.labels]).encode()).hexdigest()


def test_a_digest_of_stored_texts_is_that_of_the_same_texts_in_memory(reviews):
    part = load_source(str(reviews)).train
    assert isinstance(part.texts, StoredTexts)
    order = np.random.default_rng(0).permutation(len(part.texts))
    for rows in (part, part.take(order)):
        assert digest(rows) == digest(LabelledTexts(list(rows.texts), rows.labels))


def test_a_fingerprint_tells_the_data_of_one_run_from_that_of_another(tmp_path, reviews):
    def of(source, **changes):
        return fingerprint(split_source(tiny(source, **changes)))

    lines = reviews.read_text().splitlines(keepends=True)
    changed = {
        "same": lines,
        "text": [*lines[:-1], lines[-1].replace(",", "!,")],
        "label": [*lines[:-1], lines[-1].replace(",1", ",0")],
        "order": [lines[0], *lines[:0:-1]],
        "row": lines[:-1],
    }
    prints = {}
    for name, content in changed.items():
        (tmp_path / f"{name}.csv").write_text("".join(content))
        prints[name] = of(tmp_path / f"{name}.csv")
    assert prints.pop("same") == of(reviews) == prepare(tiny(reviews)).fingerprint
    prints |= {"first": of(reviews), "seed": of(reviews, seed=1), "share": of(reviews, hold_out=0.2)}
    split = split_source(tiny(reviews))
    turned = split.train.take(np.arange(len(split.train.texts))[::-1])
    prints["rows of training the other way round"] = fingerprint(split._replace(train=turned))
    assert len(set(prints.values())) == len(prints)


def test_a_fingerprint_is_of_every_part(tmp_path):
    prints = set()
    for changed in (None, "train", "validation", "test"):
        folder = tmp_path / str(changed)
        folder.mkdir()
        for seed, part in enumerate(("train", "validation", "test")):
            write_reviews(folder / f"{part}.csv", rows=40, seed=seed + 10 * (part == changed))
        prints.add(fingerprint(split_source(tiny(folder))))
    (folder / "test.csv").unlink()
    prints.add(fingerprint(split_source(tiny(folder))))
    assert len(prints) == 5


@pytest.mark.parametrize("pad", ["start", "end"])
def test_the_processes_shares_are_the_whole_batch(reviews, pad):
    config = tiny(reviews, pad=pad)
    parts = prepare(config)
    whole = Loader(config, parts.train.read, 6)
    assert whole.filled == 12
    shares = [Loader(config, parts.train.read, 6, share=(process, 3)) for process in range(3)]
    for batch, *pieces in zip(
        whole.batches(parts.train, 0), *(share.batches(parts.train, 0) for share in shares), strict=True
    ):
        assert [len(piece.rows) for piece in pieces] == [4, 4, 4]
        for field, *rows in zip(batch, *pieces, strict=True):
            np.testing.assert_array_equal(np.concatenate(rows), field, strict=True)


def test_a_share_that_cannot_be_is_an_error(reviews):
    config = tiny(reviews)
    train = prepare(config).train.read
    with pytest.raises(ValueError, match="share: expected a process of 0 to 1, got 2"):
        Loader(config, train, 4, share=(2, 2))
    with pytest.raises(ValueError, match="devices: expected as many in each of 3 processes, got 4 in all"):
        Loader(config, train, 4, share=(0, 3))


def test_the_share_of_unknown_words_is_that_of_the_whole_texts(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("text,label\n" + "".join(f"the film {n} was good,{n % 2}\n" for n in range(40)))
    # Padding, unknown, and 4 words: one word in five is unknown, whatever is cut off.
    config = tiny(path, vocabulary=6, longest=2)
    assert "(20.0% of the text is outside)" in facts(prepare(config), config)
    assert "(20.0% of the text is outside)" in facts(prepare(dataclasses.replace(config, longest=9)), config)
