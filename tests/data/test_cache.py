"""What is kept of a data file: known by its content, and by nobody else's hand."""

import os

import datasets
import datasets.config
import pytest

from rnnjax.data import load_source


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder of `datasets`."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def files(cache, kind):
    return sorted((cache / "rnnjax").glob(f"{kind}*"))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".parquet", ".txt"])
def test_a_file_that_was_replaced_gives_the_new_data(suffix, tmp_path, cache):
    path = tmp_path / f"texts{suffix}"
    rows = datasets.Dataset.from_dict({"text": ["good film", "dull film"] * 3, "label": [1, 0] * 3})
    if suffix == ".parquet":
        rows.to_parquet(path)
    elif suffix.startswith(".json"):
        rows.to_json(path, lines=suffix == ".jsonl")
    else:
        rows.to_csv(path, sep="," if suffix == ".csv" else "\t", header=suffix != ".txt", index=False)
    assert load_source(str(path)).train.texts == ["good film", "dull film"] * 3
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"good", b"fine"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert load_source(str(path)).train.texts == ["fine film", "dull film"] * 3


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, cache, monkeypatch):
    path = tmp_path / "texts.csv"
    path.write_text("text,label\ngood,1\ndull,0\n")
    read = datasets.Dataset.from_csv

    def and_replace(*arguments, **options):
        rows = read(*arguments, **options)
        path.write_text("text,label\nfine,1\ndull,0\n")
        return rows

    monkeypatch.setattr(datasets.Dataset, "from_csv", and_replace)
    with pytest.raises(ValueError, match=r"texts\.csv: .*expected a file that does not change while it is read"):
        load_source(str(path))
    assert not files(cache, "csv")


def test_a_cache_that_others_may_write_to_is_not_trusted(tmp_path, cache, monkeypatch):
    path = tmp_path / "texts.txt"
    path.write_text("good\t1\ndull\t0\n")
    load_source(str(path))
    folder = cache / "rnnjax"
    assert folder.stat().st_mode & 0o777 == 0o700
    expected = rf"rnnjax: expected a folder of user {os.geteuid()} that only this user may write to, got "
    folder.chmod(0o777)
    with pytest.raises(ValueError, match=f"{expected}drwxrwxrwx"):
        load_source(str(path))
    folder.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ValueError, match=r"got drwx------ of user \d+; set HF_DATASETS_CACHE to a different folder"):
        load_source(str(path))
    monkeypatch.undo()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=f"{expected}lrwxrwxrwx"):
        load_source(str(path))


def test_links_in_the_cache_are_not_followed(tmp_path, cache):
    own = tmp_path / "own"
    own.write_bytes(b"not to be touched")
    lines = tmp_path / "texts.txt"
    lines.write_text("good\t1\ndull\t0\n")
    load_source(str(lines))
    (kept,) = files(cache, "lines")
    whole = kept.read_bytes()
    (tmp_path / "stolen").write_bytes(whole)
    for target in (own, tmp_path / "stolen"):
        kept.unlink()
        kept.symlink_to(target)
        assert load_source(str(lines)).train.texts == ["good", "dull"]
        assert not kept.is_symlink()
        assert kept.read_bytes() == whole
    assert own.read_bytes() == b"not to be touched"

    table = tmp_path / "texts.csv"
    table.write_text("text,label\ngood,1\ndull,0\n")
    load_source(str(table))
    (kept,) = files(cache, "csv")
    (kept / "link").symlink_to(own)
    with pytest.raises(ValueError, match=r"link: expected a file or folder, got a symbolic link"):
        load_source(str(table))
