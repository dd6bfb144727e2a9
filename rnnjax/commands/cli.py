"""The command line of all commands: options from dataclasses, one-line errors."""

import contextlib
import functools
import io
import logging
import operator
import os
import reprlib
import sys
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeVar

from rnnjax.commands.arguments import REGISTRY, check_once, preset_first
from rnnjax.commands.cells import import_cells
from rnnjax.commands.ending import (
    complain,
    complain_unraisable,
    end_process,
    flush_output,
    is_own_process,
    report_end,
    tell,
)
from rnnjax.compat import help_colours, words_of_box
from rnnjax.errors import first_line
from rnnjax.extras import extra
from rnnjax.training.interruption import StopSignals

with extra("experiments"):
    import tyro

Config = TypeVar("Config")


def parse(options: Any, program: str, arguments: list[str], **default: Any) -> Any:
    """The options from the command-line arguments, parsed by tyro; missing ones are taken from `default`.

    For a bad argument, prints one line and exits with status 2.
    """
    complaint = io.StringIO()
    try:
        check_once(arguments)
        import_cells(arguments)
    except ValueError as error:
        _refuse(program, first_line(error))
    try:
        with contextlib.redirect_stderr(complaint), REGISTRY, help_colours(not os.environ.get("NO_COLOR")):
            # Options of nested configs have no prefix.
            flat = (tyro.conf.OmitArgPrefixes,)
            return tyro.cli(options, prog=f"python -m {program}", args=arguments, config=flat, **default)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        _refuse(program, words_of_box(complaint.getvalue()))


def _refuse(program: str, line: str) -> NoReturn:
    tell(program, f"{line}; see --help")
    raise SystemExit(2) from None


def parse_presets(
    presets: Mapping[str, tuple[str, Any]],
    default: str,
    program: str,
    arguments: list[str],
    commands: Sequence[type] = (),
) -> tuple[str, Any]:
    """The name of the preset or command in the arguments (or the default if there is none), and its options.

    A preset is a description with options; its name may stand after options. A command is a class of options, and its
    name is the class name in lower case. `--help` alone lists all of them, followed by the options of presets.
    """
    wants_help = arguments in (["-h"], ["--help"])
    if not wants_help:
        try:
            arguments = with_preset(presets, arguments, commands)
        except ValueError as error:
            _refuse(program, first_line(error))
        if not arguments or arguments[0].startswith("-"):
            arguments = [default, *arguments]
    union = functools.reduce(
        operator.or_,
        [
            *(
                Annotated[type(options), tyro.conf.subcommand(name, default=options, description=words)]
                for name, (words, options) in presets.items()
            ),
            *(Annotated[command, tyro.conf.subcommand(command.__name__.lower())] for command in commands),
        ],
    )
    if wants_help:
        with contextlib.suppress(SystemExit):
            parse(union, program, arguments)
        arguments = [default, "--help"]
    return arguments[0], parse(union, program, arguments)


def with_preset(
    presets: Mapping[str, tuple[str, Any]], arguments: Sequence[str], commands: Sequence[type]
) -> list[str]:
    """`preset_first` for these presets and commands."""
    names = [*presets, *(command.__name__.lower() for command in commands)]
    return preset_first(arguments, names, {type(options) for _, options in presets.values()})


def run_preset(
    program: str,
    presets: Mapping[str, tuple[str, Any]],
    default: str,
    study: Callable[[Any], Any],
    arguments: list[str] | None = None,
) -> None:
    """Runs a study with the preset and the options in the arguments, which are those of this process by default.

    The configs have a field `execution`. Presets are those of `parse_presets`.
    """
    _, config = parse_presets(presets, default, program, sys.argv[1:] if arguments is None else arguments)
    config.execution.begin(config)
    study(config)


def parse_run(config: type[Config], train: Callable[[Config], Any], program: str, arguments: list[str]) -> None:
    """Trains a config with the options from the arguments; `--resume RUN` resumes a run with its config."""
    from rnnjax.runs.config import load_config
    from rnnjax.runs.resumption import resumed_run, with_newest

    arguments = with_newest(arguments)
    run = resumed_run(arguments)
    import_cells(arguments)
    default = config() if run is None else load_config(run, config)
    options = parse(config, program, arguments, default=default)
    options.execution.begin(options)
    train(options)


def parse_study(
    presets: Mapping[str, tuple[str, Any]],
    default: str,
    program: str,
    prefix: str,
    arguments: list[str],
    commands: Sequence[type] = (),
) -> tuple[str, Any]:
    """`parse_presets`, with `--resume`: where no preset is named, a run is resumed under its own config.

    The experiment of a run is named by the prefix and its preset. Raises ValueError for a run of another program, and
    as `load_record`.
    """
    from rnnjax.runs.config import load_record
    from rnnjax.runs.resumption import resumed_run, with_newest

    arguments = with_newest(arguments)
    run = resumed_run(arguments)
    with contextlib.suppress(ValueError):  # `parse_presets` reports it
        arguments = with_preset(presets, arguments, commands)
    if run is not None and arguments[0].startswith("-"):
        import_cells(arguments)
        _, experiment, config, _ = load_record(run, type(presets[default][1]))
        default = experiment.removeprefix(prefix)
        if not experiment.startswith(prefix) or default not in presets:
            raise ValueError(f"{run}: expected a run of {program}, got one of {reprlib.repr(experiment)}")
        presets = {**presets, default: ("Resume a run.", config)}
    return parse_presets(presets, default, program, arguments, commands)


def study_command(
    presets: Mapping[str, tuple[str, Any]],
    default: str,
    program: str,
    prefix: str,
    train: Callable[[Any, str], Any],
    commands: Mapping[type, Callable[[Any], Any]] = types.MappingProxyType({}),
) -> Callable[[list[str]], None]:
    """The command of a study with presets, as a function of the command-line arguments (see `parse_study`).

    It calls `train` with the config and the name of the experiment (prefix and preset), or the function of a further
    command with its options.
    """

    def main(arguments: list[str]) -> None:
        name, options = parse_study(presets, default, program, prefix, arguments, tuple(commands))
        if type(options) in commands:
            commands[type(options)](options)
        else:
            options.execution.begin(options)
            train(options, f"{prefix}{name}")

    return main


def run(program: str, command: Callable[[], None]) -> None:
    """Runs the command; errors that the user can fix are reported in one line, with exit status 1.

    SIGINT (Ctrl-C) and SIGTERM end it with the statuses 130 and 143. `python -X dev -m ...` shows the whole traceback
    of an error.
    """
    for library in ("absl", "datasets", "huggingface_hub"):  # they also log the errors that they raise
        logging.getLogger(library).setLevel(logging.CRITICAL)
    sys.excepthook, sys.unraisablehook = complain, complain_unraisable
    warnings.showwarning = lambda message, *_: tell(program, f"warning: {message}")
    with StopSignals(several=False) as stop:
        try:
            try:
                command()
            except SystemExit:  # of --help, and of a bad option
                flush_output()
                raise
            flush_output()
        except SystemExit:
            raise
        except BaseException as error:
            with stop.noted():
                status = report_end(program, error, stop.received)
                end_process(status, at_once=status > 128 and is_own_process(command))


def run_study(program: str, config: type, train: Callable[[Any], Any]) -> None:
    """The command of a study without presets: `parse_run` with the arguments of this process, in `run`."""
    run(program, functools.partial(parse_run, config, train, program, sys.argv[1:]))
