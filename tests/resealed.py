"""Files of runs as somebody writes them who knows their format: what they say is wrong, but their seals are right."""

import functools
import json

from rnnjax.runs import RunFolder
from rnnjax.runs.checkpoints import find_checkpoints
from rnnjax.runs.checksums import seal
from rnnjax.runs.folder import write_json
from rnnjax.runs.seals import sealed_line


def change_object(file, **changes):
    """A sealed JSON file with other values."""
    write_json(file, {**json.loads(file.read_text()), **changes} if file.exists() else changes)


def change_config(run, **changes):
    """As `change_object`, and the run's checkpoints are made to be of that config."""
    change_object(run / "config.json", **changes)
    adopt(run, *find_checkpoints(run / "checkpoints"))


def adopt(run, *checkpoints):
    """Makes checkpoints say that they are of a run."""
    for checkpoint in checkpoints:
        file = checkpoint / "run.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **RunFolder(run).seals()}))
        seal(checkpoint)


def sealed_lines(values):
    """Lines of metrics.jsonl."""
    text, before = "", ""
    for each in values:
        line, before = sealed_line(json.dumps(each), before)
        text += line
    return text


def change_forecaster(run, place, value):
    """A forecaster of a run whose values.json has another value at a place, a list of keys."""
    file = run / "forecaster" / "values.json"
    values = json.loads(file.read_text())
    *parents, last = place
    functools.reduce(lambda inner, key: inner[key], parents, values)[last] = value
    file.write_text(json.dumps(values))
    seal(run / "forecaster")
