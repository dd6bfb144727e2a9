"""A study's report: one table, two figures, and what made them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.ablations.rows import Row
from experiments.ablations.statistics import Summary, paired_difference, summary
from experiments.ablations.study import Study, Variant
from rnnjax.analysis.ablation_plots import Group, Interval, MeanCurve, curve_figure, interval_figure
from rnnjax.training.run_folder import write_text

REPORT, CURVES, SCORES = "report.md", "curves.png", "scores.png"


def write_report(
    name: str, study: Study, variants: Sequence[Variant], rows: Mapping[str, list[Row]], folder: Path
) -> str:
    """Writes report.md and its figures to the folder, and returns the table."""
    lines = markdown_table(study, variants, rows)
    text = [f"# {name}", "", study.question, "", *lines, "", *notes(study, rows), "", f"![curves]({CURVES})", ""]
    text += [f"![scores]({SCORES})", "", "| variant | question |", "|---|---|"]
    text += [f"| {variant.name} | {variant.question} |" for variant in variants]
    groups = grouped(variants)
    curve_figure(
        [Group(title, [_curve(member, rows[member.name]) for member in members]) for title, members in groups],
        study.score,
    ).savefig(folder / CURVES, dpi=150)
    interval_figure(
        [Group(title, [_interval(member, rows[member.name]) for member in members]) for title, members in groups],
        study.score,
    ).savefig(folder / SCORES, dpi=150)
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
    memory = any(row["solved"] is not None for found in rows.values() for row in found)
    headers = ["variant", "seeds", study.score, "sd", "95% interval", "minus base", "95% interval"]
    headers += [*(["solved", "updates to solve"] if memory else []), "diverged", "parameters", "s a seed", "tokens/s"]
    lines = ["| " + " | ".join(headers) + " |", "|---" + "|---:" * (len(headers) - 1) + "|"]
    for variant in variants:
        found = rows[variant.name]
        own = summary(list(scores(found).values()))
        against = None if variant.base is None else paired_difference(scores(found), scores(rows[variant.base]))
        cells = [variant.name, str(len(found)), *_mean(own, ""), *_mean(against, "+")[::2]]
        if memory:
            solved = sorted(row["solved"] for row in found if row["solved"] is not None)
            cells += [f"{len(solved)}/{len(found)}", f"{solved[len(solved) // 2]:,}" if solved else ""]
        steps = sorted(row["diverged"] for row in found if row["diverged"] is not None)
        cells.append(f"{len(steps)} (from step {steps[0]:,})" if steps else "0")
        cells.append(f"{found[0]['parameters']:,}")
        # Seeds trained together share their wall time.
        cells.append(f"{sum(row['seconds'] / row['together'] for row in found) / len(found):.1f}")
        rates = [row["tokens_per_second"] for row in found if row["tokens_per_second"] is not None]
        cells.append(f"{sum(rates) / len(rates):,.0f}" if rates else "")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _mean(found: Summary | None, sign: str) -> tuple[str, str, str]:
    """Mean, standard deviation and interval."""
    if found is None:
        return "", "", ""
    deviation = "" if found.deviation is None else f"{found.deviation:.4f}"
    interval = "" if found.low is None else f"{found.low:{sign}.4f} to {found.high:{sign}.4f}"
    return f"{found.mean:{sign}.4f}", deviation, interval


def notes(study: Study, rows: Mapping[str, list[Row]]) -> list[str]:
    """What made the rows, and how they are to be read."""
    made = {row["environment"] for found in rows.values() for row in found}
    environments = [json.loads(text) for text in made]

    def each(values: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    versions = each([f"{name} {value}" for found in environments for name, value in found["versions"].items() if value])
    return [
        f"Commands: {each(['`' + _command(found['command']) + '`' for found in environments])}. "
        f"Commit {each([str(found['commit']) for found in environments])}; {versions}; Python "
        f"{each([found['python'] for found in environments])}; {each([found['system'] for found in environments])}, "
        f"{each([str(found['cores']) for found in environments])} cores, "
        f"{each([str(len(found['devices'])) + ' x ' + found['devices'][0] for found in environments])}.",
        "",
        "Mean and sample standard deviation over seeds that did not diverge; percentile bootstrap intervals of the "
        "mean, which for 3 to 5 seeds are narrower than 95%; differences are paired by seed. Seconds are wall time "
        "with compiling, of all seeds trained together divided by their number; tokens/s are of all of them together.",
    ]


def _command(words: Sequence[str]) -> str:
    """As it was typed: the program's file is of this machine."""
    return " ".join(["python -m experiments.ablations", *words[1:]])


def _curve(variant: Variant, rows: Sequence[Row]) -> MeanCurve:
    return MeanCurve(variant.name, [(row["curve_steps"], row["curve_scores"]) for row in rows])


def _interval(variant: Variant, rows: Sequence[Row]) -> Interval:
    values = list(scores(rows).values())
    found = summary(values)
    low, high = (None, None) if found is None else (found.low, found.high)
    return Interval(variant.name, values, low, high)
