"""`predict --trace`: the verdict after each word on the terminal, and figures of the network at work."""

import dataclasses
import re

import numpy as np
import pytest
from matplotlib.image import imread
from tiny_reviews import TINY

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment.predictions import logs_over
from experiments.sentiment.tracing import print_verdicts, trace_verdicts
from experiments.sentiment.trained import open_run
from rnnjax.commands import run
from rnnjax.training import batch_mesh

TEXT = "A lovely <br /> film, an awful plot"


def test_the_verdict_after_each_word_is_that_of_the_text_up_to_it(run_folder):
    trained = open_run(run_folder)
    verdicts = trace_verdicts(trained, TEXT)
    assert verdicts.words == ["A", "lovely", "film", "an", "awful", "plot"]
    assert verdicts.shown_class == "1"
    alone = np.exp(logs_over(trained, [TEXT[:end] for _, end in verdicts.spans], batch_mesh(1)))[:, 1]
    np.testing.assert_allclose(verdicts.values, alone, atol=1e-5)
    assert np.ptp(verdicts.values) > 0.2


def test_without_colours_every_word_has_its_probability(run_folder, capsys):
    sentiment.main(["predict", str(run_folder), TEXT, "!?", "--trace"])
    first, words, turns, second, nothing = capsys.readouterr().out.splitlines()
    shares = re.findall(r"(\S+) (\d\.\d\d)", words)
    assert [word for word, _ in shares] == ["A", "lovely", "film", "an", "awful", "plot"]
    assert first.split("1=")[1].startswith(shares[-1][1][:3])
    assert re.match(r"probability of 1; changed by .*lovely \(0\.\d\d to 0\.\d\d\)", turns)
    assert second.endswith("\t!?")
    assert nothing == "no words: the prediction is that of the bias"


def test_on_a_terminal_the_words_are_coloured(run_folder, capsys, monkeypatch):
    for name, value in (("FORCE_COLOR", "1"), ("COLORTERM", "truecolor"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_verdicts(trace_verdicts(open_run(run_folder), TEXT))
    line = capsys.readouterr().out.splitlines()[0]
    assert re.sub(r"\x1b\[[\d;]*m", "", line) == TEXT
    colours = re.findall(r"48;2;(\d+);(\d+);(\d+)m(\w+)", line)
    assert [word for *_, word in colours] == ["A", "lovely", "film", "an", "awful", "plot"]
    (lovely,) = [[int(part) for part in colour] for *colour, word in colours if word == "lovely"]
    assert lovely[2] > lovely[0]  # bluer than red: positive


def test_a_terminal_without_colours_gets_numbers(run_folder, capsys, monkeypatch):
    for name, value in (("FORCE_COLOR", "1"), ("COLORTERM", "truecolor"), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    print_verdicts(trace_verdicts(open_run(run_folder), TEXT))
    assert re.match(r"A 0\.\d\d lovely 0\.\d\d film ", capsys.readouterr().out)


@pytest.mark.slow
def test_a_network_that_reads_padding_says_the_same_in_any_company(reviews, tmp_path):
    run_path = tmp_path / "run"
    options = ["--pad", "start", "--epochs", "1", "--source", str(reviews), "--run-folder", str(run_path)]
    sentiment.main(["smoke", *TINY, *options])
    trained = open_run(run_path)
    verdicts = trace_verdicts(trained, TEXT)
    alone, company = (
        np.exp(logs_over(trained, texts, batch_mesh(1)))[0, 1] for texts in ([TEXT], [TEXT, "word " * 30])
    )
    np.testing.assert_allclose([verdicts.values[-1], company], alone, atol=1e-6)


@pytest.mark.slow
def test_figures_of_the_verdict_and_of_every_layer(run_folder, tmp_path, capsys):
    folder = tmp_path / "figures"
    sentiment.main(["predict", str(run_folder), TEXT, "!?", "--figures", str(folder)])
    names = ["text_1_recurrent_backward.png", "text_1_recurrent_forward.png", "text_1_verdict.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert all(imread(folder / name).std() > 0.02 for name in names)
    with pytest.raises(SystemExit):
        run("sentiment", lambda: sentiment.main(["predict", str(run_folder), TEXT, "--figures", str(folder)]))
    assert f"figures: expected a new path, got {folder}, which exists" in capsys.readouterr().err


def test_an_order_that_is_not_the_texts_own_cannot_be_traced(run_folder):
    trained = open_run(run_folder)
    other = trained._replace(config=dataclasses.replace(trained.config, word_order="reversed"))
    with pytest.raises(ValueError, match="trace: expected a run that reads words in their true order, got reversed"):
        trace_verdicts(other, TEXT)
