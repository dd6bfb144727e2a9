"""Texts in any script, sub-words, texts of which no word is known, and many classes, from training to prediction."""

import csv
import functools
import itertools
import re

import numpy as np
import pytest
from complaints import complaint_of, last_of_each
from small_runs import SMALL, TWO, files, lines

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment import train as training
from experiments.sentiment.config import TextClassification
from experiments.sentiment.data import facts, prepare
from experiments.sentiment.predictions import without_known_words
from experiments.sentiment.tracing import trace_verdicts
from experiments.sentiment.trained import TrainedEnsemble, open_run

complaint = functools.partial(complaint_of, sentiment)
GOOD, BAD = ["\u597d\u7535\u5f71", "\U0001f44d\U0001f3fd", "Lovely"], ["\u574f\u7535\u5f71", "\U0001f44e", "Awful"]
BPE = ["--tokens", "bpe", "--vocabulary", "300", "--epochs", "1"]

pytestmark = pytest.mark.usefixtures("quick_runs")


def write_texts(path, rows=72, seed=0):
    random = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            words = [*random.choice(["film", "a &amp; b", "it&#39;s"], 3), str(random.choice((BAD, GOOD)[row % 2]))]
            random.shuffle(words)
            writer.writerow([f"{' '.join(words)} {row + 100}", row % 2])
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_texts(tmp_path_factory.mktemp("texts") / "texts.csv")


def trained(source, path, *options):
    given = ["--data-seed", "0", "--source", source, "--run-folder", path]
    sentiment.main(last_of_each(["smoke", *SMALL, *TWO, *given, *options]))
    return path


@pytest.fixture(scope="module")
def sub_words(source, tmp_path_factory):
    return trained(source, tmp_path_factory.mktemp("runs") / "bpe", *BPE)


@pytest.fixture(scope="module")
def words(source, tmp_path_factory):
    return trained(source, tmp_path_factory.mktemp("runs") / "words", "--no-lowercase", "--epochs", "1")


def printed(capsys, *arguments):
    capsys.readouterr()
    sentiment.main(list(map(str, arguments)))
    return capsys.readouterr()


def test_a_run_on_sub_words_predicts_evaluates_and_traces(sub_words, capsys):
    found = open_run(sub_words)
    assert (found.config.tokens, found.tokenizer.get_vocab_size()) == ("bpe", 300)
    (final,) = [line for line in lines(sub_words) if line["kind"] == "final"]
    assert f"{final['accuracy']:.4f}" in printed(capsys, "evaluate", sub_words).out
    out, err = printed(capsys, "predict", sub_words, "Lovely \u7535 &amp;", "unseen \U0001f600", "", "--trace")
    assert len(re.findall("^probability of 1; changed by", out, re.MULTILINE)) == 2
    assert err == "text 3: no word is known: \n"
    verdicts = trace_verdicts(found, "Lovely \u7535 &amp;")
    assert verdicts.text == "Lovely \u7535 &"
    # All bytes of a letter are at its place.
    assert "".join(text for text, _ in itertools.groupby(verdicts.words)) == "Lovely\u7535&"


@pytest.mark.slow
def test_linear_models_read_sub_words_too(source, tmp_path):
    path = trained(source, tmp_path / "run", *BPE, "--ngrams", "2", "--baseline")
    (final,) = [line for line in lines(path) if line["kind"] == "final"]
    assert final["linear_accuracy"] == 1
    assert 0 < final["baseline_accuracy"] <= 1
    found = open_run(path)
    assert found.linear is not None
    assert found.linear.ngrams.tokens == 300


@pytest.mark.slow
def test_sub_words_are_the_same_in_a_second_run(source, sub_words, tmp_path):
    again = trained(source, tmp_path / "again", *BPE)
    assert lines(again) == lines(sub_words)
    assert files(again)["vocabulary.json"] == files(sub_words)["vocabulary.json"]


def test_words_of_any_script_are_in_the_vocabulary_and_unknown_texts_are_named(words, capsys):
    vocabulary = open_run(words).tokenizer.get_vocab()
    assert {*"\u597d\u574f\u7535\u5f71", "\U0001f44d\U0001f3fd", "\U0001f44e", "Lovely", "it's"} <= vocabulary.keys()
    assert not {"lovely", "amp", "39"} & vocabulary.keys()
    texts = ["Lovely film", "lovely FILM", "\u4f60", "\U0001f44d", "?!"]
    out, err = printed(capsys, "predict", words, *texts)
    assert [line.split("\t")[2] for line in out.splitlines()] == texts
    assert err == "".join(f"text {n}: no word is known: {texts[n - 1]}\n" for n in (2, 3, 4, 5))
    assert printed(capsys, "predict", words, *["zzz"] * 12).err.splitlines()[10:] == [
        "2 further texts: no word is known"
    ]


def test_evaluation_counts_texts_without_a_known_word(words, tmp_path, capsys):
    path = tmp_path / "other.csv"
    path.write_text("text,label\nLovely,1\nzzz,0\n??,1\n")
    out = printed(capsys, "evaluate", words, "--source", path).out
    assert "part train, 3 rows, 2 of them without a known word" in out


@pytest.mark.parametrize(("tokens", "unknown"), [("words", ["0", "4", "0"]), ("bpe", ["0", "0", "0"])])
def test_the_facts_of_the_data_count_texts_without_a_known_word(tokens, unknown, tmp_path):
    for part, text in (("train", "a b"), ("validation", "zz zz"), ("test", "a zz")):
        (tmp_path / f"{part}.csv").write_text(f"text,label\n{text},1\n{text},0\n{text} ,0\n{text} ,1\n")
    config = TextClassification(source=str(tmp_path), tokens=tokens, vocabulary=300)
    table = facts(prepare(config), config).splitlines()[3:6]
    assert [line.split()[-1] for line in table] == unknown


def test_an_ensemble_of_words_and_sub_words_cannot_be_traced(words, sub_words):
    both = TrainedEnsemble((open_run(words), open_run(sub_words)), None, np.ones(2))
    assert without_known_words(both, ["lovely", "", "Lovely"]).tolist() == [1]  # sub-words of the first text are known
    with pytest.raises(ValueError, match="trace: expected runs that read the same words, got tokens words, bpe"):
        trace_verdicts(both, "lovely")


@pytest.mark.slow
def test_an_ensemble_of_words_and_sub_words_predicts(words, sub_words, tmp_path, capsys):
    path = tmp_path / "all"
    sentiment.main(["ensemble", str(words), str(sub_words), "--run-folder", str(path)])
    out, err = printed(capsys, "predict", path, "lovely", "")
    assert len(out.splitlines()) == 2
    assert err == "text 2: no word is known: \n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tokens", "bpe", "--vocabulary", "200"], "vocabulary size: expected at least 258"),
        (["--tokens", "letters"], "letters"),
    ],
)
def test_bad_options_are_one_line(options, message, source, tmp_path, capsys):
    error = complaint(capsys, "smoke", "--source", source, *options, "--run-folder", tmp_path / "run")[1]
    assert message in error


def test_tables_of_many_classes_are_printed_before_figures_are_drawn(tmp_path, capsys, monkeypatch):
    path = tmp_path / "classes.csv"
    rows = "".join(f"word{n % 40} and {n},class {n % 40}\n" for n in range(400))
    path.write_text(f"text,label\n{rows}")
    before = []
    monkeypatch.setattr(training, "draw", lambda *_: before.append(capsys.readouterr().out))
    options = ["--rows", "400", "--batch-size", "60", "--epochs", "1", "--source", path]
    sentiment.main(last_of_each(["smoke", *SMALL, *TWO, *options, "--run-folder", tmp_path / "run"]))
    (out,) = before
    assert re.search(r"rows right; the most frequent confusions\ntrue +predicted +rows  share of the true class\n", out)
    assert re.search(r"^training +360  2\.5% to 2\.5% ", out, re.MULTILINE)
