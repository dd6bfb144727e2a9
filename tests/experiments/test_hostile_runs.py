"""Run folders from strangers: refused in bounded time with one line, and nothing in them is obeyed."""

import json
import os
import re
import shutil
from typing import Any

import pytest
from damage import damage, edits
from fuzz import at_most
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from resealed import change_config

from experiments.gradient_flow.config import GradientFlow
from experiments.next_word.text import Text
from experiments.restaurant.networks import Restaurant
from experiments.sentiment import __main__ as sentiment
from experiments.sentiment.config import TextClassification
from experiments.sentiment.trained import open_run
from rnnjax.commands import printable
from rnnjax.runs import RunFolder
from rnnjax.runs.folder import write_json
from rnnjax.training import capacity


@pytest.fixture
def hostile(run_folder, tmp_path):
    """A run folder of a test's own."""
    return shutil.copytree(run_folder, tmp_path / "hostile")


def config_of(run) -> dict[str, Any]:
    return json.loads((run / "config.json").read_text())


OUT_OF_BOUNDS = {
    "hidden": (10**12, "hidden: expected at most 65,536, got 1000000000000"),
    "embedding": (65_537, "embedding: expected at most 65,536, got 65537"),
    "layers": (10**9, "layers: expected at most 1,000, got 1000000000"),
    "vocabulary": (10**8, "vocabulary: expected at most 10,000,000, got 100000000"),
    "longest": (10**10, "longest: expected at most 10,000,000, got 10000000000"),
    "batch_size": (10**7, "batch_size: expected at most 1,000,000, got 10000000"),
    "buckets": (10**4, "buckets: expected at most 1,000, got 10000"),
    "epochs": (2**31, "epochs: expected at most 2,147,483,647, got 2147483648"),
    "dense": ([8] * 10**5, "dense: expected at most 1,000 items, got 100,000"),
    "learning_rate": (10**400, "learning_rate: expected a number above 0, got 1000"),
    "clip": (True, "clip: expected float or nothing or int, got True"),
    "seed": (2**32, "seed: expected 0 to 4294967295, got 4294967296"),
    "classes": (
        [str(n) for n in range(70_000)],
        "expected at most 65,536 classes of at most 1,000 characters, got 70,",
    ),
    "experiment": ([], "experiment: expected str, got []"),
    "held_out": (1, "held_out: expected str, got 1"),
    "source": (None, "source: expected str, got None"),
}


@pytest.mark.quick("[!h]*")
@pytest.mark.parametrize("field", OUT_OF_BOUNDS)
def test_a_config_out_of_bounds(field, hostile):
    value, message = OUT_OF_BOUNDS[field]
    change_config(hostile, **{field: value})
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        open_run(hostile)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 10**5, "nested too deeply"),
        ('{"a":' * 10**5, "nested too deeply"),
        ('{"hidden": 1, "hidden": 2}', "duplicate name 'hidden'"),
        ('{"clip": NaN}', "NaN, which is not a JSON number"),
        ('{"clip": -Infinity}', "-Infinity, which is not a JSON number"),
        (f'{{"hidden": {"9" * 5000}}}', "expected JSON, got: Exceeds the limit"),
        ('{"hidden": 1}' + " " * 2**20, "expected at most 1,048,576 bytes, got 1,048,589"),
    ],
)
def test_a_config_that_is_no_plain_json(text, message, hostile):
    (hostile / "config.json").write_text(text)
    with pytest.raises(ValueError, match=re.escape(str(hostile / "config.json"))) as caught:
        open_run(hostile)
    assert message in str(caught.value)


def test_parameters_beyond_the_memory_are_refused_before_they_are_made(hostile, run_folder, monkeypatch):
    # 65,536 features of an LSTM, two directions of three layers: far more than a machine has.
    change_config(hostile, hidden=65_536, layers=3)
    with pytest.raises(
        ValueError, match=r"^3 layers of 65,536 features: expected at most [\d,]+ bytes, .* got [\d,]{13,}$"
    ):
        open_run(hostile)
    change_config(hostile, **config_of(run_folder))
    open_run(hostile)
    monkeypatch.setattr(capacity.os, "sysconf", lambda name: 10)
    with pytest.raises(
        ValueError, match=r"^parameters: expected at most 100 bytes, this machine's memory, got \d,\d{3}$"
    ):
        open_run(hostile)


def test_a_batch_beyond_the_memory_is_refused_before_it_is_made(hostile):
    changes = {"pad": "start", "longest": 10_000_000, "batch_size": 1_000_000}
    change_config(hostile, **changes)
    with pytest.raises(ValueError, match=r"^a batch of 1,000,000 texts of 10,000,000 words: expected at most "):
        sentiment.main(["predict", str(hostile), "a film"])


READ = ("config.json", "vocabulary.json", "metrics.jsonl", "checkpoints")


@pytest.mark.parametrize("name", READ)
def test_a_link_out_of_a_run_folder_is_not_followed(name, hostile, tmp_path):
    (hostile / name).rename(tmp_path / "elsewhere")
    (hostile / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=f"{name}: expected a (file|folder), got a symbolic link"):
        open_run(hostile)


@pytest.mark.parametrize("name", ["config.json", "vocabulary.json"])
def test_a_pipe_in_a_run_folder_is_not_waited_for(name, hostile):
    (hostile / name).unlink()
    os.mkfifo(hostile / name)
    with pytest.raises(ValueError, match=f"{name}: expected a file, got a pipe"):
        open_run(hostile)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_no_file_of_a_checkpoint_is_another(make, hostile):
    found = list((hostile / "checkpoints").iterdir())
    for checkpoint in found:
        file = next(path for path in sorted(checkpoint.rglob("*")) if path.is_file())
        file.unlink()
        make(file)
    with (
        pytest.warns(UserWarning, match="checksums.json: expected a file or folder, got a ") as warned,
        pytest.raises(ValueError, match=r"expected an undamaged checkpoint, got \d+, all of them damaged"),
    ):
        open_run(hostile)
    assert len(warned) == len(found)


@pytest.mark.parametrize("source", ["/dev/zero", "pipe.csv"])
def test_evaluate_does_not_read_a_source_without_end(source, hostile):
    os.mkfifo(hostile / "pipe.csv")
    change_config(hostile, source=str(hostile / source))
    with pytest.raises(ValueError, match=r"source: expected a file or folder, got .*, a pipe or device"):
        sentiment.main(["evaluate", str(hostile)])


def test_what_a_terminal_obeys_is_shown_instead(hostile, capsys):
    classes = ["\x1b[2Jbad", "good\x9b\u202e\n"]
    change_config(hostile, classes=classes)
    sentiment.main(["predict", str(hostile), "a film \x1b]0;title\x07", "--trace"])
    out = capsys.readouterr().out
    assert "␛[2Jbad=0." in out
    assert "good\ufffd\ufffd␊=0." in out
    assert "probability of good\ufffd\ufffd␊; changed by" in out
    assert all(letter == "\n" or letter == "\t" or letter.isprintable() for letter in out)


def test_printable_changes_nothing_else():
    for text in ("", "a film", "ünï 映画\u3000👩\u200d🎨", "don't\xa0go"):
        assert printable(text) == text
    assert printable("a\0\x7f\ud800b") == "a␀␡\ufffdb"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([2**31, 10**300, -(2**63)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
COMMON = {"deadline": None, "derandomize": True, "database": None}


@settings(max_examples=at_most(60), suppress_health_check=[HealthCheck.function_scoped_fixture], **COMMON)
@given(
    changes=st.dictionaries(st.sampled_from([*vars(TextClassification()), "classes", "held_out"]), VALUES, min_size=1)
)
def test_a_config_of_any_values(changes, hostile, run_folder):
    write_json(hostile / "config.json", config_of(run_folder) | changes)
    check_run(hostile)


@settings(max_examples=at_most(60), suppress_health_check=[HealthCheck.function_scoped_fixture], **COMMON)
@given(spots=edits(b'"hidden": 8', b"999999999999", b"[]", b"{}"))
def test_a_damaged_config(spots, hostile, run_folder):
    (hostile / "config.json").write_bytes(damage((run_folder / "config.json").read_bytes(), spots))
    check_run(hostile)


def check_run(path) -> None:
    """Opens a run; raises nothing but what the docstring says."""
    trained = None
    try:
        assert isinstance(RunFolder.open(path).config(), dict)
        trained = open_run(path)
    except ValueError as error:
        assert str(error)  # noqa: PT017
    if trained is not None:
        assert len(trained.classes) >= 2


def test_the_fields_of_every_study_are_bounded():
    studies = (
        Text,
        lambda **sizes: Restaurant("s.txt", **sizes),
        GradientFlow,
    )
    for study in studies:
        with pytest.raises(ValueError, match="hidden: expected at most 65,536, got 1000000000000"):
            study(hidden=10**12)
