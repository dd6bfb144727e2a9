"""A user's own cell in the studies: named on the command line, recorded, and never imported because a file names it."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from complaints import complaint_of, last_of_each
from small_runs import SMALL, TWO

from experiments import template
from experiments.forecast.config import Forecast
from experiments.language_model.config import Language
from experiments.memory.cells import starting
from experiments.memory.config import Memory
from experiments.next_word.text import Text
from experiments.sentiment import __main__ as sentiment
from experiments.sentiment.config import TextClassification
from rnnjax import GRU
from rnnjax.cells import names
from rnnjax.cells.names import cell_by_name, known_cell
from rnnjax.runs import load_config
from rnnjax.runs.folder import write_json
from rnnjax.runs.seals import SEAL

OWN = """
import dataclasses
import jax.numpy as jnp
from rnnjax import Elman

@dataclasses.dataclass(frozen=True, kw_only=True)
class Halved(Elman):
    def update(self, extras, inputs, recurrent, state):
        after = super().update(extras, inputs, recurrent, state)
        return after._replace(hidden=0.5 * after.hidden)
"""
CONFIGS = {
    "sentiment": TextClassification,
    "language_model": Language,
    "forecast": Forecast,
    "memory": Memory,
    "next_word": Text,
    "template": template.Template,
}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The name of a cell in a module that no command line has named yet."""
    module = f"own_cell_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield f"{module}:Halved"
    names._OWN.clear()
    sys.modules.pop(module, None)


@pytest.mark.parametrize("study", CONFIGS)
def test_a_config_takes_an_own_cell_only_once_it_was_named(study, own):
    kind = CONFIGS[study]
    if study != "template":  # it builds its network later
        with pytest.raises(ValueError, match=f"cell: expected '{own}', your own cell, to be named on the command line"):
            kind(cell=own)
        with pytest.raises(
            ValueError, match=r"cell: expected one of elman, .*, or your own as module:Name, got 'lstn'"
        ):
            kind(cell="lstn")
    assert own.split(":")[0] not in sys.modules
    cell_by_name(own)
    assert kind(cell=own).cell == own
    assert type(known_cell(own)).__name__ == "Halved"


def test_a_cell_itself_is_known():
    cell = GRU()
    assert known_cell(cell) is cell
    assert dataclasses.replace(template.Template(), cell=cell).cell is cell


def test_a_cell_without_the_start_that_is_asked_for(own):
    cell_by_name(own)
    assert starting(own) == known_cell(own)
    with pytest.raises(ValueError, match=r"chrono: expected gru or lstm, got own_cell_.*:Halved \(--no-chrono trains"):
        starting(own, longest=20)


@pytest.fixture
def trained(own, reviews, tmp_path):
    """A run folder of sentiment, trained with the own cell, which is forgotten afterwards."""
    path = tmp_path / "run"
    options = last_of_each([*SMALL, *TWO, "--cell", own, "--epochs", "1"])
    sentiment.main(["smoke", *options, "--source", str(reviews), "--run-folder", str(path)])
    names._OWN.clear()
    sys.modules.pop(own.split(":")[0])
    return path


@pytest.mark.usefixtures("quick_runs")
def test_a_run_is_opened_again_with_the_cell_named_again(trained, own, capsys):
    assert json.loads((trained / "config.json").read_text())["cell"] == own
    commands = {
        "predict": ["predict", trained, "a good film"],
        "evaluate": ["evaluate", trained, "--devices", "2"],
        "resume": ["--resume", trained, "--devices", "2"],
    }
    for arguments in commands.values():
        status, error = complaint_of(sentiment, capsys, *arguments)
        assert (status, f"to be named on the command line: --cell {own}" in error) == (1, True), error
    assert own.split(":")[0] not in sys.modules
    for name, arguments in commands.items():
        sentiment.main([*map(str, arguments), "--cell", own])
        assert capsys.readouterr().out.strip()
        names._OWN.clear()
        sys.modules.pop(own.split(":")[0], None)
        assert name


@pytest.mark.slow
@pytest.mark.usefixtures("quick_runs")
def test_the_own_cell_is_what_is_trained(trained, own, reviews, tmp_path):
    other = tmp_path / "elman"
    options = last_of_each([*SMALL, *TWO, "--cell", "elman", "--epochs", "1"])
    sentiment.main(["smoke", *options, "--source", str(reviews), "--run-folder", str(other)])
    losses = [
        json.loads(next(line for line in (path / "metrics.jsonl").read_text().splitlines()))["loss"]
        for path in (trained, other)
    ]
    assert np.abs(losses[0] - losses[1]) > 1e-4


def test_a_name_in_a_file_is_never_imported(own, tmp_path):
    """Whatever a stranger's config says."""
    (tmp_path / f"{own.split(':')[0]}.py").write_text("raise SystemExit('imported')")
    folder = tmp_path / "strange"
    folder.mkdir()
    values = {field.name: getattr(Memory(), field.name) for field in dataclasses.fields(Memory)}
    values = {name: value for name, value in values.items() if name != "execution"}
    write_json(folder / "config.json", {"experiment": "memory-copy", **values, "cell": own})
    assert SEAL in json.loads((folder / "config.json").read_text())
    with pytest.raises(ValueError, match="to be named on the command line"):
        load_config(folder, Memory)
    assert own.split(":")[0] not in sys.modules


def test_a_cell_that_cannot_be_imported_is_one_line(capsys):
    status, error = complaint_of(sentiment, capsys, "smoke", "--cell", "no_such_module:Cell")
    assert (status, "cell: expected a module that can be imported, got 'no_such_module'" in error) == (2, True), error
