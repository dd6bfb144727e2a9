"""The command line of all commands: options from dataclasses, one-line errors."""

import contextlib
import functools
import io
import logging
import operator
import os
import reprlib
import signal
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from rnnjax.commands.cells import import_cells
from rnnjax.compat import is_closed_loop, is_out_of_memory, words_of_box
from rnnjax.errors import first_line
from rnnjax.extras import extra
from rnnjax.terminal import printable
from rnnjax.training import DivergedError, Interrupted
from rnnjax.training.processes import leave, was_lost

with extra("experiments"):
    import tyro

Config = TypeVar("Config")
# The maximum number of characters shown of an error, which may quote a file.
MOST_SHOWN = 2_000


def parse(options: Any, program: str, arguments: list[str], **default: Any) -> Any:
    """The options from the command-line arguments, parsed by tyro; missing ones are taken from `default`.

    For a bad argument, prints one line and exits with status 2.
    """
    complaint = io.StringIO()
    try:
        import_cells(arguments)
    except ValueError as error:
        _tell(program, first_line(error))
        raise SystemExit(2) from None
    try:
        with contextlib.redirect_stderr(complaint):
            # Options of nested configs have no prefix.
            flat = (tyro.conf.OmitArgPrefixes,)
            return tyro.cli(options, prog=f"python -m {program}", args=arguments, config=flat, **default)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        _tell(program, f"{words_of_box(complaint.getvalue())}; see --help")
        raise SystemExit(2) from None


def parse_presets(
    presets: Mapping[str, tuple[str, Any]],
    default: str,
    program: str,
    arguments: list[str],
    commands: Sequence[type] = (),
) -> tuple[str, Any]:
    """The name of the preset or command in the first argument (or the default if there is none), and its options.

    A preset is a description with options; a command is a class of options, and its name is the class name in lower
    case. `--help` alone lists all of them, followed by the options of presets.
    """
    wants_help = arguments in (["-h"], ["--help"])
    if not wants_help and (not arguments or arguments[0].startswith("-")):
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


def _complain(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """Python's hook, except that errors of leftover Orbax threads after a failed write are not shown."""
    if not is_closed_loop(error):
        sys.__excepthook__(kind, error, trace)


def _with_notes(message: str, error: BaseException) -> str:
    """The message and the one-line notes of the error; JAX adds longer notes, which are omitted."""
    return "; ".join([message, *(note for note in getattr(error, "__notes__", ()) if "\n" not in note)])


def _tell(program: str, line: str) -> None:
    """Prints a line on standard error; it may quote untrusted text."""
    print(printable(f"{program}: {line}"), file=sys.stderr)


def run(program: str, command: Callable[[], None]) -> None:
    """Runs the command; errors that the user can fix are reported in one line, with exit status 1.

    `python -X dev -m ...` shows the whole traceback.
    """
    for library in ("absl", "datasets", "huggingface_hub"):  # they also log the errors that they raise
        logging.getLogger(library).setLevel(logging.CRITICAL)
    sys.excepthook = _complain
    warnings.showwarning = lambda message, *_: _tell(program, f"warning: {message}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # `experiments` sets SIG_DFL while importing
    try:
        command()
    except KeyboardInterrupt:
        print(f"{program}: interrupted by Ctrl-C; files already written are kept", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Interrupted as stopped:
        _tell(program, _with_notes(str(stopped), stopped))
        raise SystemExit(128 + stopped.signal) from None
    except Exception as error:
        expected = isinstance(error, (ValueError, OSError, ModuleNotFoundError, DivergedError))
        if not expected and not was_lost(error) and not is_out_of_memory(error):
            raise
        if sys.flags.dev_mode:
            traceback.print_exc()
        else:
            message = first_line(error)
            if was_lost(error) and not isinstance(error, OSError):
                message = f"another process of the run was lost; its output may give the reason ({message})"
            if is_out_of_memory(error):
                message = f"out of memory ({message})"
            if len(message) > MOST_SHOWN:
                message = f"{message[:MOST_SHOWN]}..."
            _tell(program, _with_notes(message, error))
        sys.stdout.flush()
        sys.stderr.flush()
        leave(1)  # a normal exit would wait for the other processes, which may be lost or waiting for this one
        raise SystemExit(1) from None


def run_study(program: str, config: type, train: Callable[[Any], Any]) -> None:
    """The command of a study without presets: `parse_run` with the arguments of this process, in `run`."""
    run(program, functools.partial(parse_run, config, train, program, sys.argv[1:]))
