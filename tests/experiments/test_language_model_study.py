"""The language model study: a tiny training, going on with it, scores and text of its run."""

import functools
import io
import re

import numpy as np
import pytest
from complaints import complaint_of, last_of_each
from matplotlib.image import imread
from resealed import change_object
from small_runs import TWO, act_after, checkpoints, lines, read, terminate
from tiny_texts import text_of, write_treebank

from experiments.language_model import __main__ as language_model
from experiments.language_model import evaluation, setup
from experiments.language_model.generation import Generate, prompt_tokens, write_text
from experiments.language_model.scores import in_words
from experiments.language_model.surprisal import surprisals
from experiments.language_model.trained import open_run
from rnnjax.data.byte_pairs import bytes_of
from rnnjax.runs import Session
from rnnjax.runs.reading import read_run
from rnnjax.sampling import read as read_prompt
from rnnjax.sampling import search
from rnnjax.training import (
    DynamicEvaluation,
    NeuralCache,
    cached_losses,
    capacity,
    dynamic_losses,
    root_mean_squares,
)

complaint = functools.partial(complaint_of, language_model)
TINY = ["--hidden", "6", "--embedding", "5", "--steps", "7", "--batch-size", "3", "--epochs", "2", "--cell", "gru"]
TINY += ["--layers", "1", "--learning-rate", "0.05", "--dropout", "0.2"]


@pytest.fixture(scope="module")
def treebank(tmp_path_factory):
    return write_treebank(tmp_path_factory.mktemp("treebank"))


def begin(treebank, path, *more):
    return last_of_each(["ptb-small", "--source", treebank, *TINY, *TWO, "--run-folder", path, *more])


@pytest.fixture(scope="module")
def small_run(treebank, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "words"
    language_model.main(begin(treebank, path))
    return path


# A training


def test_the_head_begins_at_the_frequencies_of_the_tokens():
    params = {"head": {"kernel": np.ones((2, 3)), "bias": np.zeros(3)}, "other": np.ones(1)}
    begun = setup.begun_at_frequencies(params, np.array([2, 0, 2, 2]))
    np.testing.assert_allclose(np.exp(begun["head"]["bias"]), [2 / 7, 1 / 7, 4 / 7], rtol=1e-6)
    assert begun["head"]["kernel"] is params["head"]["kernel"]
    assert begun["other"] is params["other"]


def test_a_run_learns_and_tells_what_it_reached(small_run):
    epochs = [line for line in lines(small_run) if line["kind"] == "epoch"]
    (final,) = (line for line in lines(small_run) if line["kind"] == "final")
    assert final["part"] == "validation"
    np.testing.assert_allclose(final["perplexity"], np.exp(final["loss"]))
    assert final["loss"] == min(line["validation_loss"] for line in epochs)
    assert final["loss"] < 0.8 * final["unigram_loss"]
    assert imread(small_run / "figures" / "learning_curves.png").std() > 0.02
    score = read_run(small_run).score
    assert score is not None
    assert (score.name, score.value) == ("perplexity", final["perplexity"])


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(treebank, small_run, tmp_path, capsys):
    path = tmp_path / "run"
    steps = len([line for line in lines(small_run) if line["kind"] == "step"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "draw_curves", lambda *_: None)
        # In the middle of the second epoch, where the state has been carried a while.
        act_after(patch, steps * 3 // 4, terminate)
        status, error = complaint(capsys, *begin(treebank, path))
        assert status == 143
        assert f"; resume with: python -m experiments.language_model --resume {path}" in error
        assert "hidden was 6 and is 7" in (complaint(capsys, "--resume", path, "--hidden", "7")[1])
        language_model.main(["--resume", str(path), *TWO])
    assert lines(path) == lines(small_run)
    last = checkpoints(small_run)[-1]
    assert checkpoints(path)[-1] == last
    position = "checkpoints", last, "position.json"
    assert read(path.joinpath(*position[:2]), position[2]) == read(small_run.joinpath(*position[:2]), position[2])


# Scores


def scores(capsys, *arguments):
    capsys.readouterr()
    language_model.main(["evaluate", *map(str, arguments)])
    table = capsys.readouterr().out.splitlines()[3:]
    return {line.split()[0]: line.split()[1:] for line in table}


@pytest.mark.slow
def test_scores_do_not_depend_on_batch_size_or_truncation(small_run, treebank, capsys):
    final = lines(small_run)[-1]
    for options in ([], ["--batch-size", "1", "--steps", "50"], ["--batch-size", "8", "--steps", "3"]):
        (found,) = scores(capsys, small_run, *TWO, *options).values()
        assert found[1:] == [
            f"{(np.array(text_of(12, seed=1).split()) == '<unk>').sum() / (len(text_of(12, seed=1).split()) + 12):.1%}",
            "perplexity",
            f"{final['perplexity']:.1f}",
            f"{final['loss']:.4f}",
            f"{final['accuracy']:.4f}",
        ]
    whole = scores(capsys, small_run, *TWO, "--source", treebank / "ptb.valid.txt")
    assert whole == {"text": found}
    assert set(scores(capsys, small_run, *TWO, "--source", treebank)) == {"train", "validation"}


def test_adapted_scores_stand_beside_the_plain_ones_in_a_table_of_their_own(small_run, capsys, monkeypatch):
    trained = open_run(small_run)
    monkeypatch.setattr(evaluation, "open_run", lambda path: trained)  # so that both sides share what is compiled
    language_model.main(["evaluate", str(small_run), *TWO, "--cache", "--dynamic", "--dynamic-window", "4"])
    plain, adapted = capsys.readouterr().out.split("\n\n")
    score = re.search(r"^validation .* (perplexity [\d.]+)  ", plain, re.MULTILINE)
    cached, dynamic = adapted.splitlines()[3:]
    assert score is not None
    parts = evaluation.own_corpus(trained).parts
    found = [
        cached_losses(trained.features, trained.params, parts["validation"].stream(1, 50), NeuralCache()),
        dynamic_losses(
            trained.features,
            trained.params,
            parts["validation"].stream(1, 4),
            DynamicEvaluation(learning_rate=5e-5, decay=0.002),
            root_mean_squares(trained.features, trained.params, parts["train"].stream(100, 4)),
        ),
    ]
    words = (
        "cache: size 500, theta 0.3, lambda 0.1",
        "dynamic, rms: learning rate 5e-05, decay 0.002, epsilon 2e-05, window 4",
    )
    for line, how, losses in zip((cached, dynamic), words, found, strict=True):
        cells = [score[1], in_words(losses.mean(), "word"), f"{losses.mean():.4f}"]
        assert re.split(r"  +", line) == ["validation", how, *cells]


@pytest.mark.slow
def test_what_is_not_given_is_not_adapted(small_run, treebank, capsys):
    valid = str(treebank / "ptb.valid.txt")
    own = ["--dynamic-text", valid, "--dynamic-learning-rate", "0", "--dynamic-decay", "0.5"]
    language_model.main(["evaluate", str(small_run), *TWO, "--source", valid, "--dynamic", *own])
    plain, adapted = capsys.readouterr().out.split("\n\n")
    *_, line = adapted.splitlines()
    assert re.split(r"  +", line)[:2] == ["text", "dynamic, rms: learning rate 0, decay 0.5, epsilon 2e-05, window 5"]
    without, score, loss = re.split(r"  +", line)[2:]
    assert without == score
    assert loss in plain


BAD_ADAPTATIONS = {
    "cache_size": (["--cache-size", "0"], "cache_size: expected at least 1, got 0"),
    "cache_theta": (["--cache-theta", "-1"], "theta: expected a number of at least 0, got -1.0"),
    "cache_lambda": (["--cache-lambda", "1"], "lambda: expected 0 <= share < 1, got 1.0"),
    "dynamic_window": (["--dynamic-window", "0"], "dynamic_window: expected at least 1, got 0"),
    "dynamic_epsilon": (["--dynamic-epsilon", "0"], "epsilon: expected a number above 0, got 0.0"),
    "dynamic_decay": (["--dynamic-decay", "2"], "decay: expected 0 <= decay <= 1, got 2.0"),
    "dynamic_text": (
        ["--dynamic-rule", "sgd", "--dynamic-text", "a.txt"],
        "dynamic_text: expected rule rms, which needs it, got sgd",
    ),
}


@pytest.mark.parametrize(("options", "message"), BAD_ADAPTATIONS.values(), ids=BAD_ADAPTATIONS)
def test_bad_options_of_evaluate_are_one_line(options, message, small_run, capsys):
    assert message in complaint(capsys, "evaluate", small_run, *options)[1]


def test_a_source_that_has_changed_is_an_error(small_run, treebank, tmp_path, capsys, monkeypatch):
    (treebank / "ptb.test.txt").write_text("the cat\n" * 9)
    try:
        error = complaint(capsys, "evaluate", small_run, *TWO)[1]
    finally:
        (treebank / "ptb.test.txt").unlink()
    assert "expected the text of the run, got another: it has changed" in error


# Text


def written(run, **options):
    pieces = []
    write_text(open_run(run), Generate(run, **options), pieces.append)
    return pieces


@pytest.mark.slow
def test_text_comes_piece_by_piece_and_hangs_on_the_seed(small_run, capsys):
    pieces = written(small_run, prompt="the cat", length=12, seed=1)
    assert pieces[:2] == ["the", " cat"]
    assert len(pieces) == 2 + 12 + 1
    assert pieces == written(small_run, prompt="the cat", length=12, seed=1)
    assert pieces != written(small_run, prompt="the cat", length=12, seed=2)
    known = set(open_run(small_run).vocabulary.tokens)
    assert all(piece.strip() in known for piece in pieces if piece.strip())
    # A word that is not known is read as <unk>, and named; without a prompt a line begins.
    assert written(small_run, prompt="zebra", length=1)[0] == "<unk>"
    language_model.main(["generate", str(small_run), "--prompt", "a zebra sat\n", "--length", "1"])
    assert capsys.readouterr().err == "<unk> replaces unknown tokens of the prompt: zebra\n"
    language_model.main(["generate", str(small_run), "--prompt", "a dog sat\n", "--length", "1"])
    assert not capsys.readouterr().err
    assert not written(small_run, length=1)[0].startswith(" ")
    sharp = [written(small_run, length=9, seed=seed, temperature=0.0) for seed in (1, 2)]
    assert sharp[0] == sharp[1]
    assert sharp[0] == written(small_run, length=9, seed=3, top_k=1)


def test_the_command_writes_what_was_drawn(small_run, capsys):
    language_model.main(["generate", str(small_run), "--prompt", "the dog", "--length", "8", "--top-p", "0.9"])
    assert capsys.readouterr().out == "".join(written(small_run, prompt="the dog", length=8, top_p=0.9))


@pytest.mark.slow
def test_characters_are_written_as_they_are(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("abc\x1b abd\n" * 40)
    options = [*TINY, *TWO, "--epochs", "1", "--source", tmp_path / "text.txt", "--run-folder", tmp_path / "run"]
    language_model.main(["shakespeare", *last_of_each(options)])
    out = capsys.readouterr().out
    assert re.search(r"^test: \d\.\d{3} bits per character; character frequencies alone", out, re.MULTILINE)
    epoch = next(line for line in lines(tmp_path / "run") if line["kind"] == "epoch")
    np.testing.assert_allclose(epoch["validation_bits_per_character"], epoch["validation_loss"] / np.log(2))
    assert "\x1b" not in "".join(written(tmp_path / "run", prompt="ab", length=60))
    capsys.readouterr()
    language_model.main(["surprisal", str(tmp_path / "run"), "ab c\n"])
    words, total = capsys.readouterr().out.splitlines()
    assert [word for word, _ in bits_of(words)] == ["a", "b", "␣", "c", "↵"]
    assert re.fullmatch(r"5 characters predicted, \d+\.\d\d bits: \d\.\d{3} bits per character", total)
    error = complaint(capsys, "generate", tmp_path / "run", "--prompt", "xyz")[1]
    assert "prompt: expected characters of the training part, which has no <unk>, got 'x' and 2 others" in error


def test_sub_words_are_trained_scored_and_written(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("the cat \U0001f600\nand the hat\n" * 60)
    options = ["--level", "subword", "--vocabulary", "262", "--epochs", "1"]
    language_model.main(begin(tmp_path / "text.txt", tmp_path / "run", *options))
    out = capsys.readouterr().out
    (_, loss, bits) = re.findall(r"^(test): .*perplexity ([\d.]+), ([\d.]+) bits per byte; ", out, re.MULTILINE)[0]
    trained = open_run(tmp_path / "run")
    tokens = evaluation.own_corpus(trained).parts["test"].tokens
    size = sum(len(bytes_of(trained.vocabulary.tokens[token])) for token in tokens[1:])
    assert float(bits) == pytest.approx(np.log2(float(loss)) * (len(tokens) - 1) / size, abs=2e-3)
    assert f"perplexity {loss}, {bits} bits per byte" in scores_of(capsys, tmp_path / "run")
    found = surprisals(trained, "the \u7535\nx")
    assert "".join(found.words).startswith("the")
    assert "\u21b5" in found.words
    assert len(found.words) == len(found.bits)
    pieces = []
    write_text(trained, Generate(run=tmp_path / "run", prompt="\u7535\U0001f600 the", length=30), pieces.append)
    assert "".join(pieces).startswith("\u7535\U0001f600 the")
    language_model.main(["generate", str(tmp_path / "run"), "--prompt", "the", "--length", "500", "--stop", "\n"])
    assert capsys.readouterr().out.count("\n") <= 2
    assert (
        "stop: expected subwords of the vocabulary, got 'zebra'"
        in (complaint(capsys, "generate", tmp_path / "run", "--stop", "zebra")[1])
    )


def scores_of(capsys, path):
    capsys.readouterr()
    language_model.main(["evaluate", str(path), *TWO])
    return capsys.readouterr().out


def test_a_text_ends_with_a_stop_token(small_run, capsys):
    pieces = written(small_run, prompt="the dog", length=50, stop=("<eos>",), seed=1)
    assert pieces.index("\n") == len(pieces) - 2  # and the end of the output
    assert len(pieces) < 52
    assert pieces[:-1] == written(small_run, prompt="the dog", length=50, seed=1)[: len(pieces) - 1]
    error = complaint(capsys, "generate", small_run, "--stop", "cat", "zebra")[1]
    assert "stop: expected words of the vocabulary, got 'zebra'" in error


def test_beams_that_do_not_fit_into_memory_are_an_error(small_run, monkeypatch):
    trained = open_run(small_run)
    monkeypatch.setattr(capacity, "memory", lambda: 1000)
    with pytest.raises(ValueError, match="5,000 beams: expected at most 1,000 bytes, this machine's memory, got "):
        write_text(trained, Generate(small_run, beams=5000, length=3), lambda text: None)


def test_beams_write_the_best_hypothesis(small_run):
    trained, options = open_run(small_run), {"prompt": "the dog", "length": 6, "stop": ("<eos>",)}
    prompt = prompt_tokens(trained.config, trained.vocabulary, "the dog")
    begun = read_prompt(trained.model, trained.params, prompt[None])
    end = trained.vocabulary.line_end
    for penalty in (0.0, 3.0):
        best = search(trained.model, trained.params, begun, 4, 6, (end,), penalty, 1.2)
        tokens = np.asarray(best.tokens[0, 0])[: best.lengths[0, 0]]
        words = ["\n" if token == end else f" {trained.vocabulary.tokens[token]}" for token in tokens]
        got = written(small_run, **options, beams=4, length_penalty=penalty, repetition_penalty=1.2)
        assert got == ["the", " dog", *words, "\n"]


# Surprisal


def bits_of(line):
    return [(word, float(bits)) for word, bits in re.findall(r"(\S+) (\d+\.\d\d)", line)]


def test_the_surprisals_of_a_text_are_those_of_its_score(small_run, tmp_path, capsys):
    text = text_of(9, seed=4)
    (tmp_path / "text.txt").write_text(f"\n{text}")  # the score has no first token, and a text starts a line
    loss = float(scores(capsys, small_run, *TWO, "--source", tmp_path / "text.txt")["text"][-2])
    found = surprisals(open_run(small_run), text)
    np.testing.assert_allclose(found.bits.mean() * np.log(2), loss, atol=6e-5)
    language_model.main(["surprisal", str(small_run), text])
    words, total = capsys.readouterr().out.splitlines()
    assert [word for word, _ in bits_of(words)] == found.words == text.replace("\n", "<eos>").split()
    np.testing.assert_allclose([bits for _, bits in bits_of(words)], found.bits, atol=0.0051)
    summary = re.match(r"(\d+) words predicted, ([\d.]+) bits: ([\d.]+) bits per word, ", total)
    assert summary is not None
    number, sum_of, mean = summary.groups()
    assert int(number) == len(found.bits)
    np.testing.assert_allclose(float(sum_of), found.bits.sum(), atol=0.0051)
    np.testing.assert_allclose(float(mean), found.bits.mean(), atol=0.00051)
    assert total.endswith(in_words(found.bits.mean() * np.log(2), "word"))


def test_on_a_terminal_tokens_are_coloured_and_unknown_ones_are_named(small_run, capsys, monkeypatch):
    for name, value in (("FORCE_COLOR", "1"), ("COLORTERM", "truecolor"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    language_model.main(["surprisal", str(small_run), "the cat zebra"])
    out, error = capsys.readouterr()
    line, key = out.splitlines()
    assert re.sub(r"\x1b\[[\d;]*m", "", line) == "the cat <unk> <eos>"
    assert key.endswith("(white 0 bits, orange 3.7 and more)")
    assert error == "<unk> replaces unknown tokens of the text: zebra\n"
    blues = [int(blue) for blue in re.findall(r"48;2;\d+;\d+;(\d+)m", line)]
    assert len(blues) == 4
    # The more surprising, the less blue is left of the white.
    assert np.argmin(blues) == surprisals(open_run(small_run), "the cat zebra").bits.argmax()


@pytest.mark.slow
def test_figures_of_surprisals_and_of_every_layer(small_run, tmp_path, capsys):
    folder = tmp_path / "figures"
    language_model.main(["surprisal", str(small_run), "the cat sat", "a dog", "--figures", str(folder)])
    names = [f"text_{number}_{what}.png" for number in (1, 2) for what in ("recurrent_layers_0", "surprisal")]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert all(imread(folder / name).std() > 0.02 for name in names)
    error = complaint(capsys, "surprisal", small_run, "the", "--figures", folder)[1]
    assert f"figures: expected a new path, got {folder}, which exists" in error


def test_texts_of_a_command_may_come_from_standard_input(small_run, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"the cat\na dog\n")))
    language_model.main(["surprisal", str(small_run)])
    lines = capsys.readouterr().out.splitlines()
    assert [[word for word, _ in bits_of(line)] for line in lines[::2]] == [
        ["the", "cat", "<eos>"],
        ["a", "dog", "<eos>"],
    ]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "texts: expected at least one, got none" in complaint(capsys, "surprisal", small_run)[1]
    assert "text 1: expected at least 2 words, got 1" in complaint(capsys, "surprisal", small_run, "")[1]


# Bad input

BAD_OPTIONS = {
    "temperature": (["--temperature", "-1"], "temperature: expected a number of at least 0, got -1.0"),
    "top_k": (["--top-k", "0"], "top_k: expected at least 1, got 0"),
    "top_p": (["--top-p", "1.1"], "top_p: expected 0 < share <= 1, got 1.1"),
    "length": (["--length", "0"], "length: expected at least 1, got 0"),
    "longest": (["--length", "99999999"], "length: expected at most 10,000,000, got 99999999"),
    "repetition_penalty": (["--repetition-penalty", "0"], "repetition_penalty: expected a number above 0, got 0.0"),
    "beams": (["--beams", "0"], "beams: expected at least 1, got 0"),
    "beams_and_temperature": (
        ["--beams", "3", "--temperature", "0.5"],
        "temperature: expected none with beams, because nothing is drawn, got 0.5",
    ),
    "beams_and_top_p": (
        ["--beams", "3", "--top-p", "0.5"],
        "top_p: expected none with beams, because nothing is drawn, got 0.5",
    ),
    "beams_and_length": (
        ["--beams", "3", "--length", "9999999"],
        "beams: expected at most 10,000,000 tokens in all, got 29,999,997",
    ),
    "length_penalty": (
        ["--length-penalty", "1"],
        "length_penalty: expected beams to choose from, got 1.0 without beams",
    ),
    "seed": (["--seed", "-1"], "seed: expected 0 to 4294967295, got -1"),
}


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options_of_generate_are_one_line(options, message, small_run, capsys):
    assert message in complaint(capsys, "generate", small_run, *options)[1]


BAD_TEXTS = {
    "one_line": ({"text.txt": "only one line of words\n"}, "expected at least 20 words, got 6"),
    "empty": ({"text.txt": ""}, "expected at least 20 words, got 0"),
    "unknown": (
        {"text.txt": "a b c d\n" * 40 + "x y z\n" * 10},
        "text.txt (validation): expected words of the training part, which has no <unk>, got 'x' and 2 others; "
        "with a vocabulary below 5, rare ones become <unk>",
    ),
    "one_word": ({"text.txt": "\n" * 40}, "text.txt: expected different words to train on, got one throughout"),
    "not_utf8": ({"text.txt": b"caf\xff " * 30}, "expected UTF-8, got an invalid byte near offset 3"),
    "one_line_held_out": (
        {"train.txt": "a b\n" * 20, "valid.txt": "\n"},
        "(validation): expected at least 2 words, got 1",
    ),
    "two_parts": (
        {"train.txt": "a\n", "ptb.train.txt": "a\n"},
        "expected one file of the train part, got ptb.train.txt",
    ),
    "no_training_part": ({"valid.txt": "a\n"}, "expected a file train.txt, got ['valid.txt']"),
    "no_column": ({"rows.jsonl": '{"words": "a"}\n'}, "expected a column 'text', got ['words']"),
    "empty_row": ({"rows.jsonl": '{"text": " "}\n'}, "row 1: expected a text in column 'text', got ' '"),
}


@pytest.mark.parametrize(("files", "message"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_a_bad_text_is_one_line_and_leaves_no_run(files, message, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for name, content in files.items():
        (data / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    source = data if len(files) > 1 or "valid.txt" in files else data / next(iter(files))
    assert message in complaint(capsys, *begin(source, tmp_path / "run"))[1]
    assert not (tmp_path / "run").exists()


def test_what_is_not_there_is_one_line(small_run, tmp_path, capsys):
    def said(*arguments):
        return complaint(capsys, *arguments)[1]

    assert "source: expected --source PATH, got none" in said("ptb-small", *TWO)
    assert "text: expected a file, got nowhere" in said("ptb-small", "--source", "nowhere", *TWO)
    assert "decay: expected at least 1, got 0.5" in said("ptb-small", "--decay", "0.5")
    assert "hold_out: expected less than half, got 0.5" in said("ptb-small", "--hold-out", "0.5")
    assert "hold_out: expected a number above 0, got 0.0" in said("ptb-small", "--hold-out", "0")
    assert "run folder: expected config.json in" in said("generate", tmp_path)
    change_object(tmp_path / "config.json", experiment="sentiment-lstm")
    (tmp_path / "vocabulary.json").write_text("{}")
    assert "expected the fields of Language, got" in said("generate", tmp_path)
    vocabulary = small_run / "vocabulary.json"
    text = vocabulary.read_text()
    vocabulary.write_text(text.replace('"word"', '"character"'))
    try:
        assert "vocabulary.json: tokens: expected characters, got" in said("generate", small_run)
    finally:
        vocabulary.write_text(text)
