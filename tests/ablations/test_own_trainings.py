"""Studies of trainings of one's own: any config, any function of config and seeds, any cell."""

import dataclasses
import functools
import json
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

from experiments.ablations.command import run_studies
from experiments.ablations.study import Study, Variant
from experiments.ablations.trainers import Outcome, Trials, plain
from rnnjax import GRU, LSTM, Cell, Elman, identity


@dataclasses.dataclass(frozen=True)
class Mine:
    """A config that no study here knows."""

    cell: Cell = LSTM()  # noqa: RUF009 (frozen)
    rate: float = 0.5
    seed: int = 0


def score(config: Mine, seeds) -> list[float]:
    """A number that every field changes, and each seed, too."""
    size = sum(leaf.size for leaf in jax.tree.leaves(config.cell.init_params(jax.random.key(0), 2, 3)))
    return [config.rate * size + seed for seed in seeds]


def diverging(config: Mine, seeds):
    return [np.nan if seed == 1 else Outcome(seed, 0.25, steps=7) for seed in seeds]


CELLS = {"lstm": LSTM(), "gru": GRU(), "irnn": Elman(activation="relu", recurrent_init=identity())}
GRID = Study.grid("Which cell?", "score", Mine(), Trials(score), cell=CELLS, rate=(0.5, 2.0), seeds=2)


def test_a_grid_is_every_combination_beside_the_first():
    assert [variant.name for variant in GRID.variants] == [
        *("lstm-0.5", "lstm-2.0", "gru-0.5", "gru-2.0", "irnn-0.5", "irnn-2.0")
    ]
    assert [variant.base for variant in GRID.variants] == [None, *["lstm-0.5"] * 5]
    assert GRID.variants[3].config == Mine(GRU(), 2.0)
    assert GRID.variants[3].question == "cell gru, rate 2.0"
    none: tuple[dict[str, Any], ...] = ({}, {"rate": ()})
    for axes in none:
        with pytest.raises(ValueError, match="grid: expected axes of at least one value each, got none"):
            Study.grid("?", "score", Mine(), Trials(score), **axes)
    with pytest.raises(ValueError, match=r"expected a computation of its own, got that of '0.5': it changes nothing"):
        Study.grid("?", "score", Mine(), Trials(score), rate={"0.5": 0.5, "half": 0.5})


def test_a_grid_is_run_resumed_and_reported(tmp_path, capsys):
    command = ["mine", "--folder", str(tmp_path / "rows")]
    run_studies({"mine": GRID}, [*command, "--variants", "gru-0.5"])
    run_studies({"mine": GRID}, command)
    out = capsys.readouterr().out
    assert "4 of 6 variants to run" in out
    for variant in GRID.variants:
        rows = pd.read_parquet(tmp_path / "rows" / "rows" / f"{variant.name}.parquet")
        assert rows.score.tolist() == score(variant.config, [0, 1])
        config = json.loads(rows.config[0])
        assert config["rate"] == variant.config.rate
        assert config["cell"]["type"].endswith(type(variant.config.cell).__name__)
        assert "0x" not in rows.config[0]
    report = (tmp_path / "rows" / "report.md").read_text()
    assert all(f"| {variant.name} | 2 |" in report for variant in GRID.variants)
    base, other = (np.mean(score(GRID.variants[i].config, [0, 1])) for i in (0, 3))
    assert f"| {other - base:+.4f} |" in report


def test_rows_of_another_cell_are_not_taken_for_a_variants_own(tmp_path):
    run_studies({"mine": GRID}, ["mine", "--folder", str(tmp_path), "--variants", "lstm-0.5"])
    other = Study("?", "score", [Variant("lstm-0.5", "?", Mine(GRU()), None, Trials(score))])
    with pytest.raises(ValueError, match=r"expected rows of 'lstm-0.5' as the study has it now, got rows of another"):
        run_studies({"mine": other}, ["mine", "--folder", str(tmp_path)])


def test_a_seed_without_a_score_diverged():
    found = Trials(diverging).run(Mine(), [0, 1], lambda share: None)
    assert [(outcome.score, outcome.diverged, outcome.steps) for outcome in found] == [(0.25, None, 7), (None, 0, 0)]


WRONG: dict[str, tuple[Any, str]] = {
    "too few": (lambda config, seeds: [0.5], "train: expected a score for each of 2 seeds, got 1"),
    "other seeds": (
        lambda config, seeds: [Outcome(seed + 1, 0.5) for seed in seeds],
        "train: expected the outcome of seed 0, got that of 1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_scores_are_named(name):
    train, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        Trials(train).run(Mine(), [0, 1], lambda share: None)


def test_plain_values_tell_values_apart_and_are_the_same_again():
    def made(number):
        return lambda x: x * number

    values = [
        *(LSTM(), GRU(), Elman(), Elman(activation="relu"), Elman(recurrent_init=identity())),
        *(
            functools.partial(score, seeds=[1]),
            functools.partial(score, seeds=[2]),
            score,
            made(1),
            made(2),
            1,
            1.5,
            "1",
            None,
            True,
        ),
        *((1, 2), {"a": 1}, {"a": 2}),
    ]
    told = [json.dumps(plain(value)) for value in values]
    assert len(set(told)) == len(told)
    assert not any("0x" in text for text in told)
    assert plain(made(1)) == plain(made(1))
    assert plain(Elman(recurrent_init=identity())) == plain(Elman(recurrent_init=identity()))
