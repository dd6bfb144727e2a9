"""The report of a study: a table, two figures, and the commands, versions and devices behind them."""

import json
import shlex
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnjax.ablations.rows import Row
from rnnjax.ablations.statistics import Summary, paired_difference, summary
from rnnjax.ablations.study import Study, Variant
from rnnjax.analysis.ablation_plots import Group, Interval, MeanCurve, curve_figure, interval_figure
from rnnjax.files import save_figure, write_text
from rnnjax.tables import markdown

REPORT, CURVES, SCORES = "report.md", "curves.png", "scores.png"


def write_report(study: Study, variants: Sequence[Variant], rows: Mapping[str, list[Row]], folder: Path) -> str:
    """Writes report.md and its figures to the folder, and returns the table."""
    table = score_table(study, variants, rows)
    questions = markdown(("variant", "question"), [(variant.name, variant.question) for variant in variants])
    figures = f"![curves]({CURVES})\n\n![scores]({SCORES})"
    groups = grouped(variants)
    curves = [Group(title, [_curve(member, rows[member.name]) for member in members]) for title, members in groups]
    save_figure(folder / CURVES, lambda: curve_figure(curves, study.score))
    means = [Group(title, [_interval(member, rows[member.name]) for member in members]) for title, members in groups]
    save_figure(folder / SCORES, lambda: interval_figure(means, study.score))
    parts = (f"# {study.question}", table, *notes(study, variants, rows), figures, questions)
    write_text(folder / REPORT, "\n\n".join(parts) + "\n")
    return table


def grouped(variants: Sequence[Variant]) -> list[tuple[str, list[Variant]]]:
    """Groups of variants: each variant without a base, with all variants compared with it directly or indirectly."""
    by_name = {variant.name: variant for variant in variants}
    groups: dict[str, list[Variant]] = {}
    for variant in variants:
        first = variant
        while first.base is not None:
            first = by_name[first.base]
        groups.setdefault(first.name, []).append(variant)
    return list(groups.items())


def scores(rows: Sequence[Row]) -> dict[int, float]:
    """The score of each seed that did not diverge."""
    return {row["seed"]: row["score"] for row in rows if row["score"] is not None}


def score_table(study: Study, variants: Sequence[Variant], rows: Mapping[str, list[Row]]) -> str:
    """A Markdown table with a line for each variant."""
    bases = [variant.base for variant in variants]
    several = bases.count(None) > 1 or len(set(bases)) > 2
    headers = ["variant", *(["base"] if several else []), "seeds", study.score, "sd", "95% interval"]
    headers += ["minus base", "95% interval", *(["solved", "updates to solve"] if study.trainer.solves else [])]
    headers += ["diverged", "parameters", "s a seed", "tokens/s"]
    lines = []
    for variant in variants:
        found = rows[variant.name]
        base = scores(rows[variant.base]) if variant.base is not None else {}
        mean, _, interval = mean_words(paired_difference(scores(found), base), "+")
        pairs = len(scores(found).keys() & base.keys())
        if 0 < pairs < max(len(base), len(scores(found))):
            mean += f" ({pairs} {'pair' if pairs == 1 else 'pairs'})"
        cells = [variant.name, *([variant.base] if several else []), len(found)]
        cells += [*mean_words(summary(list(scores(found).values())), ""), mean, interval]
        if study.trainer.solves:
            solved = known(found, "solved")
            cells += [f"{len(solved)}/{len(found)}", f"{statistics.median(solved):,.0f}" if solved else None]
        steps = sorted(known(found, "diverged"))
        cells.append(f"{len(steps)} (from step {steps[0]:,})" if steps else 0)
        cells.append(f"{found[0]['parameters']:,}" if found and found[0]["parameters"] else None)
        # Seeds trained together share their time.
        shares = [row["seconds"] / row["together"] for row in found if row["seconds"] is not None]
        cells.append(f"{statistics.mean(shares):.1f}" if shares else None)
        rates = known(found, "tokens_per_second")
        cells.append(f"{statistics.mean(rates):,.0f}" if rates else None)
        lines.append(cells)
    return markdown(headers, lines, words=1 + several)


def known(rows: Sequence[Row], name: str) -> list[Any]:
    """The values of a column that are not None."""
    return [row[name] for row in rows if row[name] is not None]


def mean_words(found: Summary | None, sign: str) -> tuple[str, str, str]:
    """Mean, standard deviation and interval as text."""
    if found is None:
        return "", "", ""
    deviation = "" if found.deviation is None else f"{found.deviation:.4f}"
    interval = "" if found.low is None else f"{found.low:{sign}.4f} to {found.high:{sign}.4f}"
    return f"{found.mean:{sign}.4f}", deviation, interval


def notes(study: Study, variants: Sequence[Variant], rows: Mapping[str, list[Row]]) -> tuple[str, str]:
    """Two paragraphs: the commands, versions and devices that made the rows, and how to read the table."""
    environments = [json.loads(row["environment"]) for variant in variants for row in rows[variant.name]]

    def each(values: Iterable[object]) -> str:
        return ", ".join(dict.fromkeys(map(str, values)))

    versions = each(f"{name} {value}" for found in environments for name, value in found["versions"].items() if value)
    devices = each(f"{len(found['devices'])} x {found['devices'][0]}" for found in environments)
    commands = each(f"`{shlex.join(map(str, found['command']))}`" for found in environments)
    names = ("commit", "python", "system", "cores")
    commit, python, system, cores = (each(found[name] for found in environments) for name in names)
    made = f"Commands: {commands}. Commit {commit}; {versions}; Python {python}; {system}, {cores} cores, {devices}."
    read = (
        f"How to read it: {f'{study.trainer.note}. ' if study.trainer.note else ''}Mean, sample standard deviation and "
        "curves are those of the seeds that did not diverge. Intervals are percentile bootstrap intervals of the mean "
        "over seeds. With 2 or 3 seeds they are the lowest and the highest score, which contain the true mean in about "
        "50% and 75% of all cases; with 4 or 5 seeds they contain it in fewer than 88% and 94%. They say nothing about "
        "the held-out data. Differences are paired by seed. Seconds are those of training and evaluation of all seeds "
        "together, without compilation, divided by the number of seeds; they are lower if seeds stopped early, and "
        "missing if all stopped in the first block of updates. Tokens/s are those of all seeds together."
    )
    return made, read


def _curve(variant: Variant, rows: Sequence[Row]) -> MeanCurve:
    kept = [(row["curve_steps"], row["curve_scores"]) for row in rows if row["score"] is not None]
    return MeanCurve(variant.name if kept else f"{variant.name} (diverged)", kept)


def _interval(variant: Variant, rows: Sequence[Row]) -> Interval:
    values = list(scores(rows).values())
    found = summary(values)
    return Interval(variant.name, values, found and found.low, found and found.high)
