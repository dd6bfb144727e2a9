"""A study's report: one table, two figures, and what made them."""

import json
import shlex
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from experiments.ablations.rows import Row
from experiments.ablations.statistics import Summary, paired_difference, summary
from experiments.ablations.study import Study, Variant
from experiments.memory.config import Memory
from rnnjax.analysis.ablation_plots import Group, Interval, MeanCurve, curve_figure, interval_figure
from rnnjax.files import save_figure, write_text

REPORT, CURVES, SCORES = "report.md", "curves.png", "scores.png"


def write_report(
    name: str, study: Study, variants: Sequence[Variant], rows: Mapping[str, list[Row]], folder: Path
) -> str:
    """Writes report.md and its figures to the folder, and returns the table."""
    lines = markdown_table(study, variants, rows)
    text = [f"# {name}", "", study.question, "", *lines, "", *notes(variants, rows), "", f"![curves]({CURVES})", ""]
    text += [f"![scores]({SCORES})", "", "| variant | question |", "|---|---|"]
    text += [f"| {variant.name} | {_cell(variant.question)} |" for variant in variants]
    groups = grouped(variants)
    curves = [Group(title, [_curve(member, rows[member.name]) for member in members]) for title, members in groups]
    save_figure(folder / CURVES, lambda: curve_figure(curves, study.score))
    means = [Group(title, [_interval(member, rows[member.name]) for member in members]) for title, members in groups]
    save_figure(folder / SCORES, lambda: interval_figure(means, study.score))
    write_text(folder / REPORT, "\n".join(text) + "\n")
    return "\n".join(lines)


def grouped(variants: Sequence[Variant]) -> list[tuple[str, list[Variant]]]:
    """Every variant that is compared with none, with those that are compared with it, or with one of those."""
    known = {variant.name: variant for variant in variants}
    groups: dict[str, list[Variant]] = {}
    for variant in variants:
        first = variant
        while first.base is not None:
            first = known[first.base]
        groups.setdefault(first.name, []).append(variant)
    return list(groups.items())


def scores(rows: Sequence[Row]) -> dict[int, float]:
    """The score of each seed that did not diverge."""
    return {row["seed"]: row["score"] for row in rows if row["score"] is not None}


def markdown_table(study: Study, variants: Sequence[Variant], rows: Mapping[str, list[Row]]) -> list[str]:
    """A row a variant."""
    memory = any(isinstance(variant.config, Memory) for variant in variants)
    bases = [variant.base for variant in variants]
    several = bases.count(None) > 1 or len(set(bases)) > 2
    headers = ["variant", *(["base"] if several else []), "seeds", _cell(study.score), "sd", "95% interval"]
    headers += ["minus base", "95% interval", *(["solved", "updates to solve"] if memory else []), "diverged"]
    headers += ["parameters", "s a seed", "tokens/s"]
    lines = ["| " + " | ".join(headers) + " |", "|---" * (1 + several) + "|---:" * (len(headers) - 1 - several) + "|"]
    for variant in variants:
        found = rows[variant.name]
        own = summary(list(scores(found).values()))
        base = scores(rows[variant.base]) if variant.base is not None else {}
        mean, _, interval = _mean(paired_difference(scores(found), base), "+")
        pairs = len(scores(found).keys() & base.keys())
        if 0 < pairs < max(len(base), len(scores(found))):
            mean += f" ({pairs} {'pair' if pairs == 1 else 'pairs'})"
        cells = [variant.name, *([variant.base or ""] if several else []), str(len(found)), *_mean(own, "")]
        cells += [mean, interval]
        if memory:
            solved = [row["solved"] for row in found if row["solved"] is not None]
            cells += [f"{len(solved)}/{len(found)}", f"{statistics.median(solved):,.0f}" if solved else ""]
        steps = sorted(row["diverged"] for row in found if row["diverged"] is not None)
        cells.append(f"{len(steps)} (from step {steps[0]:,})" if steps else "0")
        cells.append(f"{found[0]['parameters']:,}" if found else "")
        # Seeds trained together share their time.
        shares = [row["seconds"] / row["together"] for row in found if row["seconds"] is not None]
        cells.append(f"{statistics.mean(shares):.1f}" if shares else "")
        rates = [row["tokens_per_second"] for row in found if row["tokens_per_second"] is not None]
        cells.append(f"{statistics.mean(rates):,.0f}" if rates else "")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cell(text: str) -> str:
    """Text within a table."""
    return " ".join(text.replace("|", "\\|").split())


def _mean(found: Summary | None, sign: str) -> tuple[str, str, str]:
    """Mean, standard deviation and interval."""
    if found is None:
        return "", "", ""
    deviation = "" if found.deviation is None else f"{found.deviation:.4f}"
    interval = "" if found.low is None else f"{found.low:{sign}.4f} to {found.high:{sign}.4f}"
    return f"{found.mean:{sign}.4f}", deviation, interval


def notes(variants: Sequence[Variant], rows: Mapping[str, list[Row]]) -> list[str]:
    """What made the rows, and how they are to be read."""
    environments = [json.loads(row["environment"]) for variant in variants for row in rows[variant.name]]

    def each(values: Iterable[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    versions = each(f"{name} {value}" for found in environments for name, value in found["versions"].items() if value)
    scored = {
        "of memory tasks, scores are those of the last evaluation, or of the first one at which the task was solved, "
        "where training stops; updates to solve are the median of the seeds that did"
        if isinstance(variant.config, Memory)
        else "of text classifiers, scores are those of the epoch that was best on the hold-out, and flatter a little"
        for variant in variants
    }
    return [
        f"Commands: {each('`' + _command(found['command']) + '`' for found in environments)}. "
        f"Commit {each(str(found['commit']) for found in environments)}; {versions}; Python "
        f"{each(found['python'] for found in environments)}; {each(found['system'] for found in environments)}, "
        f"{each(str(found['cores']) for found in environments)} cores, "
        f"{each(str(len(found['devices'])) + ' x ' + str(found['devices'][0]) for found in environments)}.",
        "",
        f"How to read it: {'; '.join(sorted(scored))}. Mean, sample standard deviation and curves are of the seeds "
        "that did not diverge. Intervals are percentile bootstrap intervals of the mean over seeds: of 2 or 3 seeds "
        "they are the least and the greatest score, which hold the true mean in about 50% and 75% of all cases, and of "
        "4 or 5 still in fewer than 88% and 94%; they say nothing of the data that were held out. Differences are "
        "paired by seed. Seconds are of training and its evaluations, compiling left out, of all seeds trained "
        "together divided by their number, and fewer where seeds stopped early (none where all did in the first block "
        "of updates); tokens/s are of all of them together.",
    ]


def _command(words: Sequence[str]) -> str:
    """As it was typed, but for the program's folder, which is of this machine."""
    program, *arguments = map(str, words)
    module = Path(program).parts[-3:] == ("experiments", "ablations", "__main__.py")
    return shlex.join(
        [*(["python", "-m", "experiments.ablations"] if module else ["python", Path(program).name]), *arguments]
    )


def _curve(variant: Variant, rows: Sequence[Row]) -> MeanCurve:
    kept = [row for row in rows if row["score"] is not None]
    name = variant.name if kept else f"{variant.name} (diverged)"
    return MeanCurve(name, [(row["curve_steps"], row["curve_scores"]) for row in kept])


def _interval(variant: Variant, rows: Sequence[Row]) -> Interval:
    values = list(scores(rows).values())
    found = summary(values)
    low, high = (None, None) if found is None else (found.low, found.high)
    return Interval(variant.name, values, low, high)
