"""Datasets that `save_to_disk` wrote, Arrow files, and datasets of the hub by name."""

import re
import warnings
from typing import Any

import datasets
import datasets.exceptions
import pyarrow as pa
import pytest

from rnnjax.data import LabelledTexts, Source, load_source, load_texts
from rnnjax.data import column_checks as checks

FEATURES = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
ROWS = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, 1]}, features=FEATURES)
WANT = LabelledTexts(["a", "b", "c"], [1, 0, 1])


def unlabelled():
    return datasets.Dataset.from_dict({"text": ["d"], "label": [-1]}, features=FEATURES)


@pytest.mark.parametrize("shards", [1, 2])
def test_a_saved_dataset(tmp_path, shards):
    ROWS.select([2, 0, 1]).save_to_disk(tmp_path / "saved", num_shards=shards)
    assert load_source(str(tmp_path / "saved")) == Source(
        LabelledTexts(["c", "a", "b"], [1, 1, 0]), None, None, ("neg", "pos")
    )


def test_the_parts_of_a_saved_dataset(tmp_path):
    parts: Any = {"train": ROWS, "dev": ROWS.select([1, 0]), "test": unlabelled(), "unsupervised": ROWS}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        source = load_source(str(tmp_path / "saved"))
    assert source == Source(WANT, LabelledTexts(["b", "a"], [0, 1]), None, ("neg", "pos"))
    assert [str(warning.message).split(": ", 1)[1] for warning in said] == [
        "not read: unsupervised",
        "the test part has no labels in column 'label': skipped",
    ]
    with pytest.warns(UserWarning, match="not read: unsupervised"):
        assert {part: list(texts) for part, texts in load_texts(str(tmp_path / "saved")).items()} == {
            "train": ["a", "b", "c"],
            "validation": ["b", "a"],
            "test": ["d"],
        }


def test_a_saved_dataset_that_lacks_a_shard(tmp_path):
    ROWS.save_to_disk(tmp_path / "saved", num_shards=2)
    (tmp_path / "saved" / "data-00000-of-00002.arrow").unlink()
    with pytest.raises(ValueError, match="saved: expected all 2 shards of data, got 1 files"):
        load_source(str(tmp_path / "saved"))
    (tmp_path / "saved" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(ValueError, match=r"saved: expected \.arrow files, as `save_to_disk` writes them, got none"):
        load_source(str(tmp_path / "saved"))


def stream(path, columns, **options):
    """A file of these columns, in two batches."""
    table = pa.table(columns)
    with pa.ipc.new_stream(path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=2)


@pytest.mark.parametrize(
    "values", [["x" * 1000] * 4, pa.array(["x" * 1000] * 4).dictionary_encode()], ids=["texts", "dictionary"]
)
def test_a_compressed_arrow_stream_is_not_unpacked(tmp_path, values):
    path = tmp_path / "a.arrow"
    stream(path, {"text": values, "label": [0, 1, 0, 1]}, compression="zstd")
    with pytest.raises(ValueError, match=r"a\.arrow: expected an Arrow stream without compression"):
        checks.check_arrow(path)
    stream(path, {"text": values, "label": [0, 1, 0, 1]})
    checks.check_arrow(path)
    stream(path, {f"c{n}": [0] for n in range(1_001)})
    with pytest.raises(ValueError, match=r"a\.arrow: not readable as arrow: .*a.arrow: expected at most 1,000 columns"):
        load_source(str(path))


def hub(monkeypatch, answer):
    """What a name asks of the hub."""
    asked = []

    def load_dataset(name, configuration=None, *, split=None):
        asked.append((name, configuration, split))
        if isinstance(answer, Exception):
            raise answer
        return answer if split is None else answer[split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


@pytest.mark.parametrize(
    ("source", "want"),
    {
        "hf://stanfordnlp/sst2": ("stanfordnlp/sst2", None, None),
        "hf://datasets/stanfordnlp/sst2": ("stanfordnlp/sst2", None, None),
        "hf://nyu-mll/glue/sst2": ("nyu-mll/glue", "sst2", None),
        "hf://nyu-mll/glue/sst2:train": ("nyu-mll/glue", "sst2", "train"),
        "hf://nyu-mll/glue:train": ("nyu-mll/glue", None, "train"),
        "hf://imdb": ("imdb", None, None),
    }.items(),
)
def test_a_name_of_the_hub(monkeypatch, source, want):
    asked = hub(monkeypatch, datasets.DatasetDict({"train": ROWS, "validation": ROWS.select([0])}))
    validation = LabelledTexts(["a"], [1]) if want[2] is None else None
    assert load_source(source) == Source(WANT, validation, None, ("neg", "pos"))
    assert asked == [want]


BAD = {
    "hf://": "source: expected hf://OWNER/NAME, or with /CONFIGURATION and :SPLIT, got 'hf://'",
    "hf://a/b/c/d": "source: expected hf://OWNER/NAME",
    "hf://a/../b": "source: expected hf://OWNER/NAME",
}


@pytest.mark.parametrize(("source", "message"), BAD.items())
def test_a_name_that_is_none(monkeypatch, source, message):
    asked = hub(monkeypatch, datasets.DatasetDict({"train": ROWS}))
    with pytest.raises(ValueError, match=re.escape(message)):
        load_source(source)
    assert asked == []


def test_what_the_hub_says(monkeypatch):
    hub(monkeypatch, ValueError("Config name is missing.\nPlease pick one among: ['cola', 'sst2']"))
    message = "source 'hf://nyu-mll/glue': Config name is missing. Please pick one among: ['cola', 'sst2']"
    with pytest.raises(ValueError, match=re.escape(message)):
        load_source("hf://nyu-mll/glue")
    hub(monkeypatch, datasets.exceptions.DatasetNotFoundError("no such"))
    with pytest.raises(ConnectionError, match=r"source 'hf://a/b': a/b could not be reached \(DatasetNotFoundError\)"):
        load_source("hf://a/b")
    hub(monkeypatch, datasets.DatasetDict({"all": ROWS}))
    with pytest.raises(
        FileNotFoundError, match=r"hf://a/b: expected a part train, got \['all'\]; :NAME reads one part"
    ):
        load_source("hf://a/b")
    hub(monkeypatch, datasets.DatasetDict({"train": ROWS.rename_column("text", "sentence")}))
    with pytest.raises(ValueError, match=r"hf://a/b \(train\): expected a column 'text', got \['sentence', 'label'\]"):
        load_source("hf://a/b")
    assert load_source("hf://a/b", "sentence").train == WANT
