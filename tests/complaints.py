"""Commands that must fail, and what they say."""

import functools
import warnings

import pytest

from rnnjax.commands import run


def last_of_each(options):
    """The options; of one that is given twice the last, since commands refuse it."""
    groups, name = {}, ""
    for word in map(str, options):
        if word.startswith("--"):
            name = word
            groups.pop(name, None)
        groups.setdefault(name, []).append(word)
    return [word for group in groups.values() for word in group]


def end_of(program, *arguments):
    """The status of a command that must fail."""
    with warnings.catch_warnings(), pytest.raises(SystemExit) as stop:
        run(program.PROGRAM, functools.partial(program.main, list(map(str, arguments))))
    return stop.value.code


def complaint_of(program, capsys, *arguments):
    """(status, the one line) of a command that must fail."""
    capsys.readouterr()
    status = end_of(program, *arguments)
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return status, error
