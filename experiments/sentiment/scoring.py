"""Prediction and evaluation with a trained run."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np

from experiments.sentiment.evaluation import draw_scores, mistakes, score_tables
from experiments.sentiment.options import Evaluate as Evaluate
from experiments.sentiment.options import Predict as Predict
from experiments.sentiment.predicted_rows import check_output, read_rows, write_rows
from experiments.sentiment.predictions import logs_over, without_known_words
from experiments.sentiment.tracing import check_order, draw_verdicts, look_inside, print_verdicts, trace_verdicts
from experiments.sentiment.trained import Trained, TrainedEnsemble, held_out_source, open_any
from rnnjax.commands import printable
from rnnjax.commands.texts import given_texts, new_figures
from rnnjax.data import LabelledTexts, load_part
from rnnjax.training import batch_mesh, use_cpu_cores

# The number of characters shown of a text, and of texts named without a known word.
START, MOST_NAMED = 80, 10


def predict(options: Predict) -> None:
    """The command `predict`."""
    trained, table, output = open_any(options.run), None, options.output
    if options.source is None:
        texts = given_texts(options.texts)
    else:
        datasets.disable_progress_bars()
        if output is not None:
            check_output(output)
        table, texts = read_rows(options.source, options.text_column, options)
    if options.figures is not None:
        new_figures(options.figures)
    rows = np.exp(logs_over(trained, texts, batch_mesh(1)))
    warn_of_unknown(without_known_words(trained, texts), texts)
    if table is not None and output is not None:
        write_rows(table, rows, trained.classes, output)
        print(printable(f"{len(rows):,} rows with predictions written to {output}"))
        if not options.trace and options.figures is None:
            return
    for number, (text, row) in enumerate(zip(texts, rows, strict=True), start=1):
        # Class names of an untrusted run folder must not break the columns.
        names = [printable(name) for name in trained.classes]
        shares = " ".join(f"{name}={share:.4f}" for name, share in zip(names, row, strict=True))
        print(names[row.argmax()], shares, printable(re.sub(r"[\t\r\n]", " ", text)), sep="\t")
        if options.trace or options.figures is not None:
            look_inside(trained, text, options.trace, options.figures, f"text_{number}")


def warn_of_unknown(numbers: np.ndarray, texts: Sequence[str]) -> None:
    """Names on standard error the texts of which no word is known."""
    for number in map(int, numbers[:MOST_NAMED]):
        print(f"text {number + 1}: no word is known: {printable(shortened(texts[number]))}", file=sys.stderr)
    if len(numbers) > MOST_NAMED:
        print(f"{len(numbers) - MOST_NAMED:,} further texts: no word is known", file=sys.stderr)


def shortened(text: str) -> str:
    """The start of a text on one line."""
    words = " ".join(text.split())
    return words if len(words) <= START else f"{words[:START]}..."


def evaluate(options: Evaluate) -> None:
    """The command `evaluate`."""
    use_cpu_cores(options.devices)
    datasets.disable_progress_bars()
    trained = open_any(options.run)
    if options.errors:
        check_order(trained)
    texts, name = texts_to_score(trained, options)
    if options.figures is not None:
        new_figures(options.figures)
    logs, labels = logs_over(trained, texts.texts, batch_mesh(options.devices)), np.asarray(texts.labels)
    unknown = len(without_known_words(trained, texts.texts))
    note = f", {unknown:,} of them without a known word" if unknown else ""
    print(printable(f"{options.source or trained.config.source}, part {name}, {len(labels):,} rows{note}"))
    print(score_tables(logs, labels, trained.classes))
    if options.figures is not None:
        draw_scores(logs, labels, options.figures)
    if options.errors:
        list_mistakes(trained, texts, logs, options.errors, options.figures)


def texts_to_score(trained: Trained | TrainedEnsemble, options: Evaluate) -> tuple[LabelledTexts, str]:
    """The texts that the options name, and the name of their part. Raises ValueError if there is no such part."""
    if options.source is not None:
        columns = options.text_column, options.label_column
        name, texts = load_part(options.source, trained.classes, options.part, *columns, given=options)
        return texts, name
    name = options.part or "validation"
    parts = held_out_source(trained)._asdict()
    if parts[name] is None:
        have = [part for part in ("test", "validation", "train") if parts[part] is not None]
        raise ValueError(f"part: expected one of {have}, which the source has, got {name!r}")
    return parts[name], name


def list_mistakes(
    trained: Trained | TrainedEnsemble, texts: LabelledTexts, logs: np.ndarray, count: int, figures: Path | None
) -> None:
    """Prints the most confident mistakes, each with the prediction after each word, which is also drawn."""
    rows = mistakes(logs, np.asarray(texts.labels))
    print(f"\n{min(count, len(rows))} of {len(rows):,} mistakes, the most confident first")
    for number, row in enumerate(map(int, rows[:count]), start=1):
        text, predicted = texts.texts[row], int(logs[row].argmax())
        true, guess = (trained.classes[label] for label in (texts.labels[row], predicted))
        probability = np.exp(logs[row, predicted])
        print()
        print(
            printable(f"{number}. true {true}, predicted {guess} with probability {probability:.4f}: {shortened(text)}")
        )
        verdicts = trace_verdicts(trained, text)
        print_verdicts(verdicts)
        if figures is not None:
            draw_verdicts(verdicts, figures, f"mistake_{number}")
