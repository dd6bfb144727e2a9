"""Links, pipes, sockets, folders and files without end in place of every name of a run folder.

Listed, compared, opened and resumed, such a run is refused with one line, or what was planted is replaced. A user's
files keep their bytes, and nothing is waited for.
"""

import dataclasses
import fnmatch
import json
import os
import re
import shutil
import signal
import stat
import warnings
from pathlib import Path
from typing import Any, cast

import pytest
from matplotlib.figure import Figure
from resealed import change_object

from experiments.runs import __main__ as runs
from experiments.sentiment.trained import open_run
from rnnjax.runs import session as session_module
from rnnjax.runs.execution import Execution
from rnnjax.runs.folder import VOCABULARY
from rnnjax.runs.resumption import newest_run
from rnnjax.runs.session import Session
from rnnjax.training import Objective, Position, StepReport, first_state

SECONDS = 20  # no part of this takes one
HUGE = 200 * 10**9
# Every name that a run holds, and what becomes of a run in which something else has it. Those of a checkpoint are
# planted in every checkpoint, else the next older one is read.
REFUSED, REPLACED, DAMAGED = "refused", "replaced", "damaged"
NAMES = {
    "config.json": REFUSED,
    "vocabulary.json": REFUSED,
    "environment.json": REFUSED,
    "metrics.jsonl": REFUSED,
    "status.json": REFUSED,
    "lock": REFUSED,
    "checkpoints": REFUSED,
    "figures": REFUSED,
    "tensorboard": REFUSED,
    "figures/*.png": REPLACED,
    "tensorboard/events.out.tfevents.*": REPLACED,
    "checkpoints/epoch*-step*": DAMAGED,
    "checkpoints/epoch*-step*/position.json": DAMAGED,
    "checkpoints/epoch*-step*/checksums.json": DAMAGED,
    "checkpoints/epoch*-step*/run.json": DAMAGED,
    "checkpoints/epoch*-step*/params": DAMAGED,
    "checkpoints/epoch*-step*/params/*": DAMAGED,
    "checkpoints/epoch*-step*/training": DAMAGED,
    "checkpoints/epoch*-step*/training/*": DAMAGED,
}
# What an earlier version, a killed process or a guess might have left.
GUESSED = (
    *(f".{name}.new" for name in ("config.json", "environment.json", "metrics.jsonl", "status.json")),
    *("figures/.lengths.png.new", "checkpoints/.writing-epoch012-step00000073", "checkpoints/damaged-epoch009-step9"),
    *("checkpoints/.removed-epoch011-step00000066", "checkpoints/epoch099-step00000999"),
)


def pattern_of(name: str) -> str:
    """The most specific pattern of the table that fits, part by part."""
    parts = name.split("/")
    if len(parts) > 4:  # files of Orbax, at any depth
        parts = [*parts[:3], "*"]
    fits = [
        pattern
        for pattern in NAMES
        if pattern.count("/") == len(parts) - 1 and all(map(fnmatch.fnmatchcase, parts, pattern.split("/")))
    ]
    return fits[0] if fits else f"not in the table: {name}"


class Plants:
    """Things of one kind, put in place of names; `user` is what they would reach."""

    def __init__(self, kind: str, user: Path):
        self.kind, self.user = kind, user
        (user / "folder").mkdir(parents=True)
        (user / "folder" / "file").write_text("a user's")
        self.targets: list[Path] = []

    def put(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        target = self.user / f"file{len(self.targets)}"
        if self.kind in ("link to a file", "hard link"):
            target.write_text("a user's")
            self.targets.append(target)
        match self.kind:
            case "link to a file":
                path.symlink_to(target)
            case "hard link":
                os.link(target, path)
            case "link to nothing":
                path.symlink_to(self.user / "nothing")
            case "link to a folder":
                path.symlink_to(self.user / "folder")
            case "pipe":
                os.mkfifo(path)
            case "socket":
                os.mknod(path, stat.S_IFSOCK | 0o600)
            case "folder":
                path.mkdir()
                (path / "file").write_text("other")
            case "file without end":
                with path.open("wb") as file:
                    file.truncate(HUGE)

    def check(self) -> None:
        """What the user has is as it was."""
        assert {target.read_text() for target in self.targets} <= {"a user's"}
        assert (self.user / "folder" / "file").read_text() == "a user's"
        assert sorted(self.user.rglob("*")) == sorted(
            [self.user / "folder", self.user / "folder" / "file", *self.targets]
        )


KINDS = (
    *("link to a file", "link to nothing", "link to a folder", "hard link", "pipe", "socket", "folder"),
    "file without end",
)


@pytest.fixture(autouse=True)
def alarm():
    """What waits for ever is ended, and fails."""

    def ring(*_):
        raise TimeoutError(f"still at it after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def resume(run_folder):
    """Goes on with a copy of the run by one step that is not computed: whatever else a resumed run does is done."""
    trained = open_run(run_folder)
    told = json.loads((run_folder / "config.json").read_text())
    first = first_state(trained.model, trained.config.transformation(72), trained.config.seed)
    figures = [path.stem for path in (run_folder / "figures").iterdir()]

    def fit(state, step, *, watch, checkpoints, position, **_):
        watch(StepReport(position.step + 1, {"loss": 0.5, "accuracy": 0.5}, 1.0, 10))
        checkpoints.save(state, Position(position.epoch, 1, position.step + 1, best=position.best))
        checkpoints.wait()
        yield from ()

    def go_on(path: Path) -> None:
        config = dataclasses.replace(trained.config, execution=Execution(resume=path))
        with (
            pytest.MonkeyPatch.context() as patch,
            Session("experiments.sentiment", told["experiment"], config) as session,
        ):
            patch.setattr(session_module, "fit", fit)
            facts = {name: told[name] for name in ("classes", "held_out", "fingerprint")}
            objective = Objective(lambda *_: {}, best="accuracy", highest=True)
            session.begin(objective, facts, {VOCABULARY: trained.tokenizer.to_str(pretty=True)})
            session.train(first, 73, lambda *_: None, step=cast(Any, None))
            for name in figures:
                session.log.figure(session.step, name, lambda: Figure(figsize=(0.1, 0.1)))

    return go_on


def told_by(action, *arguments) -> str | None:
    """The one line with which it was refused; None where it was not. Warnings are of one line, too."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            action(*arguments)
            line = None
        except (ValueError, OSError) as error:
            line = str(error)
    for told in (line or "", *(str(warning.message) for warning in warned)):
        assert "\n" not in told
    return line


def look(path: Path, figure: Path) -> dict[str, str | None]:
    """What is said where the run is listed, compared, and opened for a prediction."""
    return {
        "list": told_by(runs.main, [str(path)]),
        "compare": told_by(runs.main, ["compare", str(path), "--figure", str(figure)]),
        "open": told_by(open_run, path),
    }


def names_of(run: Path) -> list[str]:
    return [path.relative_to(run).as_posix() for path in sorted(run.rglob("*"))]


@pytest.mark.slow
def test_the_table_has_every_name_of_a_run(run_folder, resume, tmp_path):
    run = shutil.copytree(run_folder, tmp_path / "run")
    resume(run)
    for found in (names_of(run_folder), names_of(run)):
        assert {pattern_of(name) for name in found} == set(NAMES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pattern", [pattern for pattern, fate in NAMES.items() if fate != REPLACED])
def test_a_name_that_another_thing_has(pattern, kind, run_folder, resume, tmp_path, monkeypatch):
    """Or that the right kind of thing has, of the wrong size or with another name."""
    run = shutil.copytree(run_folder, tmp_path / "run")
    plants = Plants(kind, tmp_path / "user")
    matching = [name for name in names_of(run) if pattern_of(name) == pattern]
    assert matching
    own_kind = all((run / name).is_dir() for name in matching) and kind == "folder"
    for name in matching:
        if os.path.lexists(run / name):  # within what was planted already there is nothing
            plants.put(run / name)
    monkeypatch.setattr("experiments.runs.__main__.comparison_figure", lambda *_: Figure(figsize=(0.1, 0.1)))
    said = look(run, tmp_path / "figure.png")
    said["resume"] = told_by(resume, run)
    plants.check()
    if NAMES[pattern] == REFUSED and kind not in ("hard link", "file without end") and not own_kind:
        for action in ("open", "resume"):
            told = said[action]
            assert told is not None
            assert re.search(f"{pattern}(: expected a (file|folder), got | in .*, found none$)", told), told
    elif NAMES[pattern] == DAMAGED or pattern in ("config.json", "vocabulary.json"):
        assert said["open"] is not None
        assert said["resume"] is not None


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_are_written_anew(kind, run_folder, resume, tmp_path):
    """All at once: a run goes on beside them."""
    run = shutil.copytree(run_folder, tmp_path / "run")
    plants = Plants(kind, tmp_path / "user")
    replaced = [name for name in names_of(run) if NAMES[pattern_of(name)] == REPLACED]
    figures = [name for name in replaced if name.startswith("figures") and kind != "folder"]
    planted = [*(name for name in replaced if name in figures or not name.startswith("figures")), *GUESSED]
    before = os.listdir(run / "tensorboard")
    for name in planted:
        plants.put(run / name)
    assert told_by(open_run, run) is None
    assert told_by(resume, run) is None
    plants.check()
    assert all((run / name).read_bytes().startswith(b"\x89PNG") for name in figures)
    assert all(stat.S_ISREG((run / name).lstat().st_mode) for name in figures)
    assert len(os.listdir(run / "tensorboard")) == len(before) + 1
    assert os.path.lexists(run / "checkpoints" / "damaged-epoch099-step00000999")
    assert not list((run / "checkpoints").glob(".*"))
    assert json.loads((run / "status.json").read_text())["status"] == "finished"


def test_a_figure_whose_name_a_folder_has_is_a_warning(run_folder, resume, tmp_path):
    run = shutil.copytree(run_folder, tmp_path / "run")
    (run / "figures" / "lengths.png").unlink()
    (run / "figures" / "lengths.png").mkdir()
    with pytest.warns(UserWarning, match=r"figure lengths not written: .*lengths.png: expected a file, got a folder"):
        resume(run)
    assert json.loads((run / "status.json").read_text())["status"] == "finished"


def test_a_run_that_is_listed_as_running_keeps_what_its_lock_leads_to(run_folder, tmp_path, capsys):
    for kind in KINDS:
        run = shutil.copytree(run_folder, tmp_path / kind / "run")
        change_object(run / "status.json", status="running")
        plants = Plants(kind, tmp_path / kind / "user")
        plants.put(run / "lock")
        assert told_by(runs.main, [str(tmp_path / kind)]) is None
        plants.check()
        out = capsys.readouterr().out
        assert "killed" in out
        assert ("lock: expected a file" in out) == (kind != "file without end"), out


def test_a_folder_that_is_a_link_is_not_resumed(run_folder, resume, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "theirs").symlink_to(run_folder)
    assert "theirs: expected a folder, got a symbolic link" in str(told_by(resume, tmp_path / "runs" / "theirs"))
    trained = open_run(tmp_path / "runs" / "theirs")  # to look is harmless
    told = json.loads((run_folder / "config.json").read_text())
    with pytest.raises(FileNotFoundError, match="expected a run of this config under"):
        newest_run(told["experiment"], trained.config, tmp_path / "runs")
