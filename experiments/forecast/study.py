"""The study: trains, tests and draws one run, or one for each part of a backtest."""

import dataclasses
from pathlib import Path
from typing import Any

from tqdm import tqdm

from experiments.forecast.backtest import backtest_table, fold_of, folds
from experiments.forecast.baselines import Remainder, linear_autoregression, network_parts
from experiments.forecast.config import Forecast
from experiments.forecast.data import Parts, lacking_known, prepare
from experiments.forecast.figures import figures
from experiments.forecast.files import future, tested
from experiments.forecast.fitted import Fitted
from experiments.forecast.network import calibration_of, network_forecasts
from experiments.forecast.results import Outcome, day, evaluate, facts, linear_words, report, score_lines
from experiments.forecast.sources import load
from experiments.forecast.train import (
    Epoch,
    check_all_learnt,
    initial_states,
    inputs_of,
    objective,
    own_seeds,
    train,
)
from experiments.forecast.trained import save
from rnnjax.commands import printable
from rnnjax.data.sequence_batches import fingerprint_of
from rnnjax.files import write_text
from rnnjax.runs import RunFolder, Session
from rnnjax.runs.run_files import new_path
from rnnjax.training.devices import seed_mesh

PROGRAM = "experiments.forecast"
FORECASTS, TESTED, BACKTEST = "forecasts.csv", "test_forecasts.csv", "backtest.txt"


def study(config: Forecast, name: str) -> Path:
    """Trains, prints the results, draws the figures, and returns the path of the run folder.

    A backtest has a folder with the run folders of all cut-offs. Raises DivergedError if a seed diverged
    (`check_all_learnt`).
    """
    if config.backtest is None:
        return train_and_test(config, name)[0]
    folder = config.execution.run_folder or new_path(f"{name}-backtest")
    RunFolder.check_new(folder)
    found = []
    for number, fold in enumerate(folds(config, load(config)), start=1):
        execution = dataclasses.replace(config.execution, run_folder=folder / f"cut{number}")
        _, cut, outcome = train_and_test(dataclasses.replace(fold, execution=execution), name)
        found.append(fold_of(cut, outcome))
        print()
    words = backtest_table(found)
    print(words)
    write_text(folder / BACKTEST, f"{words}\n")
    return folder


def train_and_test(config: Forecast, name: str) -> tuple[Path, str, Outcome]:
    """The run folder, the first date of the test part, and the results."""
    with Session(PROGRAM, name, config) as session:
        devices = seed_mesh(config.seeds, config.execution.devices).size
        parts = prepare(config)
        for note in parts.table.notes:
            print(printable(note))
        print(facts(config, parts))
        print(f"{config.name}: {config.seeds} seeds on {devices} devices, at most {config.epochs} epochs")
        linear = linear_autoregression(parts)
        remainder = Remainder.of(linear, parts.training) if config.linear else None
        parts = network_parts(parts, remainder)
        params, epochs = fit(session, config, parts)
        calibration = calibration_of(config, parts, params)
        network = network_forecasts(config, parts, params, calibration)
        outcome = evaluate(config, parts, linear, network)
        for line in score_lines(config, outcome):
            session.log.line("score", line)
        for tried in outcome.fits:
            session.log.line("fit", tried._asdict())
        session.log.line("comparison", {"one": outcome.comparison._asdict(), "all": outcome.all_seeds._asdict()})
        path = session.path
        save(session.folder, Fitted.of(parts, linear, remainder, calibration), params)
        if lacking := lacking_known(config, parts):
            written = f"no forecasts beyond the last date: {printable(lacking)}"
        else:
            write_text(path / FORECASTS, future(parts, network))
            written = f"forecasts beyond the last date {path / FORECASTS}"
        write_text(path / TESTED, tested(parts, outcome))
        for name, draw in figures(config, parts, outcome, epochs).items():
            session.log.figure(session.step, name, draw)
        best = ", ".join(f"{epoch}" for epoch in epochs[-1].best)
        print(f"best epochs {best}, of {len(epochs)}{unfinished(config, epochs[-1])}; {linear_words(linear)}")
        print(f"\nthe test part\n{report(config, parts, outcome)}")
        print(
            f"{session.seconds:.1f} s of training\n{written}\n"
            f"forecasts of the test part {path / TESTED}\nrun folder {path}"
        )
    return path, day(parts.cuts.test), outcome


def unfinished(config: Forecast, last: Epoch) -> str:
    """A note if the best epoch of some seeds is the last one."""
    seeds = int((last.best == config.epochs).sum())
    return f" (the last one for {seeds} of {config.seeds} seeds: more --epochs may be better)" if seeds else ""


def fit(session: Session, config: Forecast, parts: Parts) -> tuple[Any, list[Epoch]]:
    """The parameters of the best epoch of every seed, and all epochs. Raises DivergedError if a seed diverged."""
    training, validation, test = (inputs_of(config, own) for own in (parts.training, parts.validation, parts.test))
    session.begin(objective(config), {"fingerprint": fingerprint_of((training, validation, test))})
    state = session.restore(initial_states(config, training), config.epochs, finite=False)
    epochs = [Epoch.of(line) for line in session.lines("epoch")]
    with tqdm(total=config.epochs, initial=len(epochs), unit="epoch", disable=None, dynamic_ncols=True) as bar:
        for after, epoch in train(config, training, validation, state, session.fit_blocks, epochs):
            state = after
            epochs.append(epoch)
            line = {**epoch.line(), "step": session.step, "seconds": round(session.block_seconds, 3)}
            session.log.epoch(session.step, line)
            bar.set_postfix_str(f"validation {', '.join(f'{loss:.4g}' for loss in epoch.validation)}", refresh=False)
            bar.update()
    best = own_seeds(config, state.carry.params)
    check_all_learnt(config, epochs, best, validation)
    return best, epochs
