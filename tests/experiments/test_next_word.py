"""The next word, by hand and of a text file."""

import functools
import json
import math
import re

import numpy as np
import pytest
from complaints import complaint_of, last_of_each
from reference import assert_close

from experiments.language_model.scores import in_words, measured, unigram_loss
from experiments.next_word import __main__ as next_word
from experiments.next_word.by_hand import AGREEMENT, Weights, by_hand, train, vocabulary, weights_of

TINY = ["--epochs", "3", "--hidden", "8", "--embedding", "8", "--steps", "5", "--batch-size", "8", "--dropout", "0"]
TINY += ["--learning-rate", "0.05", "--devices", "2", "--vocabulary", "20"]

# A network that somebody else trained on the same pairs.
GIVEN = Weights(
    -2.1041462,
    0.42572525,
    -0.42550597,
    np.array([0.9820599, 0.38863012, -1.2549587, 0.27253923, -1.2005792]),
    np.array([-0.61160386, -0.61415964, 0.59387, -0.6146539, 0.6308001]),
)
ITS_ANSWER = np.array([0.01513512, 0.02723994, 0.46750897, 0.03055882, 0.45955703])


def test_given_weights_give_their_answer_by_hand():
    probabilities, lines = by_hand(GIVEN, [3, 1])
    np.testing.assert_allclose(probabilities, ITS_ANSWER, atol=1e-7)
    assert "h_1 = tanh(3 * -2.104146 + 0.000000 * 0.425725 + -0.425506) = tanh(-6.737945) = -0.999997" in lines
    assert lines[-1].endswith("= 0.45955708")
    backwards, _ = by_hand(GIVEN, [1, 3])
    assert np.abs(backwards - probabilities).max() > 1e-4


def test_words_are_numbered_by_falling_frequency():
    assert vocabulary() == {"is": 1, "an": 2, "this": 3, "example": 4}


@pytest.mark.parametrize("seed", range(3))
def test_both_pairs_are_learnt_and_agree_with_the_arithmetic(seed):
    params, loss = train(500, 0.03, seed)
    assert loss < 0.01
    weights = weights_of(params)
    assert by_hand(weights, [3, 1])[0].argmax() == 2
    assert by_hand(weights, [1, 2])[0].argmax() == 4
    assert np.abs(by_hand(weights, [3, 1])[0]).sum() == pytest.approx(1)


def test_every_line_is_printed(capsys):
    next_word.main([])
    out = capsys.readouterr().out
    assert "is = 1; an = 2; this = 3; example = 4" in out
    assert "total" in out
    assert " 13\n" in out
    for words in (
        "kernel = ",
        "recurrent_kernel = ",
        "dense_bias = ",
        "h_2 = tanh(",
        "o_4 = ",
        "p_4 = ",
        "-> 'example'",
    ):
        assert words in out
    differences = [float(line.split()[-1]) for line in out.splitlines() if line.startswith("largest difference")]
    assert len(differences) == 2
    assert 0 < max(differences) < AGREEMENT


def test_the_perplexity_of_word_frequencies():
    # Counts 2, 3 and 1, each one higher: shares 3/9, 4/9 and 2/9.
    got = measured(unigram_loss(np.array([0, 0, 1, 1, 1, 2]), np.array([1, 2]), 3), "word")["perplexity"]
    assert_close(np.array(got), np.array((9 / 4 * 9 / 2) ** 0.5), "values")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("The cat sat on\x85the mat, and " * 60, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def text_run(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "text"
    next_word.main(["text", text, *TINY, "--run-folder", str(path)])
    return path


def test_the_next_word_of_a_text_is_learnt_and_predicted_from_its_run(text_run, capsys):
    next_word.main(["predict", str(text_run), "THE CAT sat", "--top", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "after 'THE CAT sat'"
    word, share = lines[3].split()
    assert word == "on"
    assert float(share) > 0.5
    shares = [float(line.split()[1]) for line in lines[3:]]
    assert len(shares) == 3
    assert shares == sorted(shares, reverse=True)
    lines = [json.loads(line) for line in (text_run / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2, 3]
    assert epochs[-1]["validation_perplexity"] < 2


@pytest.mark.slow
def test_a_text_study_prints_its_perplexity_and_words(text, tmp_path, capsys):
    options = [*TINY, "--epochs", "1", "--prompt", "the mat", "--run-folder", str(tmp_path / "run")]
    next_word.main(["text", text, *last_of_each(options)])
    out = capsys.readouterr().out
    assert "6 different words in training, 7 known" in out
    assert re.search(r"^train +378", out, re.MULTILINE)
    assert re.search(r"^test: perplexity .*; word frequencies alone: perplexity ", out, re.MULTILINE)
    assert "after 'the mat'" in out
    assert "<unk>" not in out.split("after")[1]


@pytest.mark.slow
def test_the_unknown_word_is_no_next_word(text, tmp_path, capsys):
    # Two words are known; most of what follows is not.
    options = [*TINY, "--epochs", "1", "--vocabulary", "3", "--prompt", "the", "--run-folder", str(tmp_path / "run")]
    next_word.main(["text", text, *last_of_each(options)])
    after = capsys.readouterr().out.split("after 'the'")[1]
    assert len(re.findall(r" 0\.\d{4}\n", after)) == 2
    assert "<" not in after


@pytest.mark.slow
def test_a_window_may_be_longer_than_the_text(text, tmp_path, capsys):
    options = [*TINY, "--epochs", "1", "--steps", "100000000", "--run-folder", str(tmp_path / "run")]
    next_word.main(["text", text, *last_of_each(options)])
    assert "validation: perplexity" in capsys.readouterr().out


def test_a_perplexity_beyond_floats_is_told():
    assert measured(709.0, "word") == measured(1e4, "word") == {"perplexity": math.exp(709)}
    assert in_words(1e4, "word") == "perplexity 8.2e+307"
    assert in_words(math.log(20), "word") == "perplexity 20.0"


complaint = functools.partial(complaint_of, next_word)


def test_a_prompt_of_unknown_words_only_is_an_error(text, text_run, tmp_path, capsys):
    message = "prompt: expected at least one word of the text, got 'zebra quagga'"
    assert message in complaint(capsys, "predict", str(text_run), "zebra quagga")[1]
    for prompt in ("", "!?"):
        assert "prompt: expected some text" in complaint(capsys, "predict", str(text_run), prompt)[1]
    folder = tmp_path / "run"
    options = ["--prompt", "zebra quagga", "--run-folder", str(folder)]
    assert message in complaint(capsys, "text", text, *TINY, *options)[1]
    assert not folder.exists()


BAD_TEXTS = {
    "short": (b"only three words", "expected at least 40 words, got 3"),
    "no words": (b"... !", "text.txt: expected at least 40 words, got 0"),
    "not UTF-8": (b"caf\xff " * 30, "expected UTF-8, got an invalid byte near offset 3"),
}


@pytest.mark.parametrize(("content", "message"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_a_bad_text_is_one_line(content, message, tmp_path, capsys):
    (tmp_path / "text.txt").write_bytes(content)
    assert message in complaint(capsys, "text", str(tmp_path / "text.txt"), *TINY)[1]


def test_bad_options_and_runs_are_one_line(text, text_run, run_folder, tmp_path, capsys):
    assert "text: expected a file, got nowhere.txt" in complaint(capsys, "text", "nowhere.txt", *TINY)[1]
    assert "dropout: expected 0 <= share < 1, got 1.0" in complaint(capsys, "text", text, "--dropout", "1")[1]
    assert "by hand: expected the network's probabilities" in complaint(capsys, "--learning-rate", "1e30")[1]
    assert "epochs: expected at least 1, got 0" in complaint(capsys, "--epochs", "0")[1]
    assert "top: expected at least 1, got 0" in complaint(capsys, "predict", str(text_run), "the", "--top", "0")[1]
    assert (
        "expected the fields of Language, got a run of 'sentiment-bilstm-max' without"
        in complaint(capsys, "predict", str(run_folder), "the")[1]
    )
