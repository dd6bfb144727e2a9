"""Parts of a folder as users name them, and parts without labels."""

from source_case import GOOD, ROWS, TRAIN, Case, class_labels, labelled

SHARDS = {f"train-0000{n}-of-00002.csv": f"text,label\n{text},{label}\n" for n, (text, label) in enumerate(ROWS)}

PART_CASES: dict[str, Case] = {
    **{
        f"part {name}": Case(
            "parts",
            "rungalileo/dataquality#557",
            {"train.csv": GOOD, f"{name}.csv": GOOD},
            {**TRAIN, part: ROWS},
        )
        for part, names in {
            "validation": ("val", "valid", "validation", "dev", "development", "eval", "Val"),
            "test": ("test", "testing"),
        }.items()
        for name in names
    },
    "training": Case("parts", "huggingface/datasets#3221", {"training.csv": GOOD}, TRAIN),
    "part as a word": Case(
        "parts",
        "huggingface/datasets#3788",
        {"films_train.csv": GOOD, "films-dev.csv": GOOD},
        {**TRAIN, "validation": ROWS},
        said=("films_train.csv is read as the train part", "films-dev.csv is read as the validation part"),
    ),
    "part within a word": Case(
        "parts",
        "huggingface/datasets#3788",
        {"train.csv": GOOD, "www_farodevigo_es.csv": GOOD},
        TRAIN,
        said=("not read: www_farodevigo_es.csv",),
    ),
    "a file that is not read": Case(
        "parts", "", {"train.csv": GOOD, "extra.jsonl": "{}", "notes.md": ""}, TRAIN, said=("not read: extra.jsonl",)
    ),
    "a name before a word": Case(
        "parts",
        "",
        {"train.csv": GOOD, "train_old.csv": GOOD},
        TRAIN,
        said=("not read: train_old.csv",),
    ),
    "two names of a part": Case(
        "parts", "", {"train.csv": GOOD, "val.csv": GOOD, "dev.csv": GOOD}, error="expected one file validation.*, got"
    ),
    "shards": Case("parts", "huggingface/huggingface.js#593", SHARDS, TRAIN),
    "a missing shard": Case(
        "parts",
        "",
        {name: SHARDS[name] for name in list(SHARDS)[1:]},
        error="expected all 2 shards of train, got 1 files",
    ),
    "more shards than memory": Case(
        "parts", "", {"train-1-of-999999999.csv": GOOD}, error="expected all 999,999,999 shards of train, got 1 files"
    ),
    "folder data": Case("parts", "", {"data/train.csv": GOOD}, TRAIN, said=("read from its folder data",)),
    "folders of parts": Case(
        "parts", "huggingface/datasets#4895", {"train/a.csv": GOOD, "val/b.csv": GOOD}, {**TRAIN, "validation": ROWS}
    ),
    **{
        f"a test part {name}": Case(
            "unlabelled",
            report,
            {"train.csv": GOOD, "test.csv": content},
            TRAIN,
            said=("the test part has no labels in column 'label': skipped",),
        )
        for name, report, content in (
            ("without a label column", "huggingface/datasets#183", "id,text\n1,a film\n"),
            ("with labels -1", "huggingface/datasets#5624", "text,label\na film,-1\nb film,-1\n"),
            ("with empty labels", "", "text,label\na film,\nb film,\n"),
            ("with question marks", "", "text,label\na film,?\nb film,?\n"),
            ("with words for no label", "", "text,label\na film,NA\nb film,nan\nc film,\nd film,-1\n"),
        )
    },
    "a test part of class -1": Case(
        "unlabelled",
        "",
        {"train.csv": "text,label\na,-1\nb,1\n", "test.csv": "text,label\nc,-1\n"},
        {"train": [("a", "-1"), ("b", "1")], "test": [("c", "-1")]},
    ),
    "a test part with some labels": Case(
        "unlabelled",
        "",
        {"train.csv": GOOD, "test.csv": "text,label\na,pos\nb,\n"},
        error="(test), row 2: expected a label of ['neg', 'pos'] in column 'label', got ''; --skip-bad",
    ),
    **{
        f"a validation part {name}": Case(
            "unlabelled",
            report,
            {"train.csv": GOOD, "val.csv": content, "test.csv": GOOD},
            {**TRAIN, "test": ROWS},
            said=("the validation part has no labels in column 'label': skipped",),
        )
        for name, report, content in (
            ("without a label column", "huggingface/datasets#183", "id,text\n1,a film\n"),
            ("with labels -1", "huggingface/datasets#5624", "text,label\na film,-1\nb film,-1\n"),
            ("with question marks", "", "text,label\na film,?\nb film,?\n"),
        )
    },
    "class labels of -1": Case(
        "unlabelled",
        "huggingface/datasets#245",
        {"train.parquet": class_labels([1, 0], ["neg", "pos"]), "test.parquet": class_labels([-1, -1], ["neg", "pos"])},
        labelled("pos", "neg"),
        said=("the test part has no labels",),
    ),
    "a test part of class ?": Case(
        "unlabelled",
        "",
        {"train.csv": "text,label\na,?\nb,!\n", "test.csv": "text,label\nc,?\n"},
        {"train": [("a", "?"), ("b", "!")], "test": [("c", "?")]},
        said=("read as names of classes, not as missing labels: '?'",),
    ),
    "a test part with some labels, skipped": Case(
        "unlabelled",
        "",
        {"train.csv": GOOD, "test.csv": "text,label\na,pos\nb,-1\nc,?\n"},
        {**TRAIN, "test": [("a", "pos")]},
        said=("2 of 3 rows left out",),
        options={"skip_bad": True},
    ),
}
