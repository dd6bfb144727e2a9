"""The table of runs."""

from collections.abc import Sequence
from pathlib import Path

from rnnjax.runs.reading import Run, Score
from rnnjax.tables import table

NAME, CONFIG, NOTE = 36, 24, 80
SORTS = ("newest", "name", "best", "time", "speed")
HEADERS = ("run", "config", "status", "epoch", "step", "best", "training", "per second", "note")


def shorten(text: object, width: int) -> str:
    """One printable line of at most `width` characters, cut in the middle."""
    line = "".join(letter if letter.isprintable() else "?" for letter in str(text))
    keep = width - 3
    return line if len(line) <= width else f"{line[: keep // 2]}...{line[len(line) - (keep - keep // 2) :]}"


def duration(seconds: float) -> str:
    """Seconds in a readable form: "50 s", "2 min 05 s", "1 h 02 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def score_words(score: Score | None) -> str:
    """The score with its epoch."""
    if score is None:
        return ""
    value = f"{score.value:.1f}" if score.value >= 10 else f"{score.value:.4f}"
    return f"{score.name} {value}" + ("" if score.epoch is None else f" (epoch {score.epoch})")


def training_time(run: Run) -> str:
    """The time spent in training; if it is not logged, an estimate from the times of the files, marked with "~"."""
    if run.train_seconds is not None:
        return duration(run.train_seconds)
    return f"~{duration(run.seconds_of_files)}" if run.seconds_of_files else ""


def sort_runs(runs: Sequence[Run], by: str) -> list[Run]:
    """The runs sorted by one of SORTS; runs without such a value come last, and ties are sorted newest first."""
    newest = sorted(runs, key=lambda run: -run.started)
    if by == "name":
        return sorted(newest, key=lambda run: run.path.name)
    if by == "best":
        return sorted(newest, key=_rank)
    if by == "time":
        return sorted(newest, key=lambda run: -(run.train_seconds or 0))
    if by == "speed":
        return sorted(newest, key=lambda run: -(run.speed or 0))
    return newest


def _rank(run: Run) -> tuple[bool, str, float]:
    """A sort key that is lower for better scores; scores of the same name are adjacent."""
    score = run.score
    if score is None:
        return True, "", 0.0
    return False, score.name, -score.value if score.higher_is_better else score.value


def run_table(runs: Sequence[Run], names: dict[Path, str]) -> str:
    """A table with one row for each run, in this order; empty columns are left out."""
    rows = []
    for run in runs:
        epochs = run.config.get("epochs")
        done = "" if run.epoch is None else str(run.epoch)
        note = "; ".join([*([run.status.message] if run.status.message else []), *run.problems])
        rows.append(
            (
                shorten(names[run.path], NAME),
                shorten(run.experiment, CONFIG),
                run.status.status,
                shorten(f"{done}/{epochs}" if done and isinstance(epochs, int) else done, 12),
                "" if run.step is None else f"{run.step:,}",
                shorten(score_words(run.score), 40),
                training_time(run),
                "" if run.speed is None else f"{run.speed:,.0f}",
                shorten(note, NOTE),
            )
        )
    columns = [
        (header, *column) for header, column in zip(HEADERS, zip(*rows, strict=True), strict=True) if any(column)
    ]
    headers, *cells = zip(*columns, strict=True)
    lines = table(headers, cells, words=("config", "status", "note")).splitlines()
    return "\n".join(line.rstrip() for line in lines)
