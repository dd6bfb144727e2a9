"""A run in progress: lock, status, log, and what is written when it ends."""

import contextlib
import json
import shlex
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from rnnjax.errors import is_fault
from rnnjax.runs.endings import tell_end
from rnnjax.runs.execution import EXECUTION, LocalExecution, check_alike, settings
from rnnjax.runs.folder import ARTIFACTS, BEST, CONFIG, METRICS, VOCABULARY, RunFolder, check_artifact
from rnnjax.runs.log import Log
from rnnjax.runs.metrics import Metrics, read_lines, read_metrics
from rnnjax.runs.resumption import NEWEST, check_resumable, check_same, newest_run
from rnnjax.runs.run_files import new_path
from rnnjax.training import Interrupted, StopSignals
from rnnjax.training.objective import Objective
from rnnjax.training.processes import is_first, on_first_process


class LiveRun:
    """The context of one run of a study, from before any computation until after the last figure.

    `config` is a dataclass with a field `execution`: a `RunPlace`, or, in a `Session`, which can be resumed, an
    `Execution` or `LocalExecution`. SIGTERM and Ctrl-C stop the run cleanly. With several processes only process 0
    reads, writes and prints. Entering raises as `RunFolder.check_new`; if a run is resumed, as `RunFolder.open`,
    `RunFolder.lock` and `check_same`, and FileNotFoundError if its checkpoints are missing.
    """

    def __init__(self, program: str, experiment: str, config: Any):
        self.program, self.experiment, self.config = program, experiment, config
        self.execution = config.execution
        self.resumable = isinstance(self.execution, LocalExecution)
        self.resuming = self.resumable and self.execution.resume is not None
        self.step = 0
        self._resumed = self._begun = False
        self._settings: dict[str, Any] = {}
        self.log = Log(None, None, tensorboard=False)
        self._stop = StopSignals()
        self._held, self._working = contextlib.ExitStack(), contextlib.ExitStack()

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.path)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:  # releases the lock if an error is raised
            stack.enter_context(self._stop)
            found = json.loads(on_first_process(lambda: json.dumps(self._look(stack)).encode()))
            self.path, self._resumed = Path(found["path"]), found["resumed"]
            try:
                self.execution = self.execution.filled(found[EXECUTION])
            except ValueError as error:
                raise ValueError(f"{self.path / CONFIG}: {error}") from error
            self._held = stack.pop_all()
        return self

    def _look(self, stack: contextlib.ExitStack) -> dict[str, Any]:
        if not self.resuming:
            path = self.execution.run_folder or new_path(self.experiment)
            RunFolder.check_new(path)
            return {"path": str(path), "resumed": False, EXECUTION: {}}
        path = self.execution.resume
        if str(path) == NEWEST:
            path = newest_run(self.experiment, self.config)
        folder = RunFolder.open(path)
        stack.enter_context(folder.lock())
        resumed = check_resumable(folder, self.experiment, self.config)
        return {"path": str(path), "resumed": resumed, EXECUTION: folder.config().get(EXECUTION, {})}

    def begin(
        self,
        objective: Objective | None = None,
        facts: Mapping[str, Any] = MappingProxyType({}),
        artifacts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Makes the run folder or, if a run is resumed, checks that the data are the same.

        The objective, if given, names the metric that determines the best epoch. If the run cannot be resumed, its log
        is open from here on; otherwise `Session.restore` opens it. `facts` (JSON) describe the data: a run can only be
        resumed with the same facts. `artifacts` are JSON texts by file name (a vocabulary, a scaler), which are written
        into the folder (`RunFolder.artifact` reads them). Raises ValueError, which lists what has changed, or in what
        the processes of the run differ.
        """
        for name, text in artifacts.items():
            check_artifact(name, text)
        check_alike(self.config, facts, artifacts)
        others = sorted(set(artifacts) - {VOCABULARY})
        self._settings = {
            "experiment": self.experiment,
            **facts,
            **settings(self.config),
            EXECUTION: self.execution.kept(),
        } | ({ARTIFACTS: others} if others else {})
        if objective is not None:
            self._settings[BEST] = {"metric": objective.best, "highest": objective.highest}

        def begin() -> bytes:
            if not self.resuming:
                RunFolder.create(self.path, self._settings, artifacts)
                self._held.enter_context(self.folder.lock())
            else:
                check_same(self.path, self.folder.config(), self._settings)
                self.folder.check_artifacts(artifacts)
            return b""

        self._stop.raise_noted()
        on_first_process(begin)
        self._begun = not self.resuming
        if not self.resumable:
            self._status("running")
            self.log = Log(self.folder if is_first() else None, None, tensorboard=False)

    def metrics(self) -> Metrics:
        """The steps and epochs in metrics.jsonl; damaged lines are named in a warning."""
        problems: list[str] = []
        # A process that was killed may have left an incomplete last line.
        found = read_metrics(self.path / METRICS, True, problems)
        for problem in problems:
            warnings.warn(f"{self.path}: {problem}", stacklevel=2)
        return found

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The lines of one kind in metrics.jsonl, including those from before the run was resumed."""
        return read_lines(self.path / METRICS, kind)

    def score(self, name: str, value: float, part: str = "test", *, highest: bool) -> None:
        """Writes the score by which lists of runs show this one; `highest` says whether higher is better.

        For runs without a metric that determines the best epoch (`begin`).
        """
        self.log.final(part=part, **{name: float(value)}, highest=highest)

    def _status(self, status: str, message: str = "") -> None:
        if is_first():
            self.folder.write_status(status, self._done, message, self.log.mark)

    @property
    def _done(self) -> int | None:
        """The number of steps done; None in a study that counts none."""
        return self.step if self.resumable or self.step else None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # The run has ended: a signal must not prevent writing its status.
        with self._held, self._stop.noted():
            if self._stop.received is not None and is_fault(error):  # a library has made another one of Interrupted
                error = Interrupted(self._stop.received)
            try:
                self._working.close()  # waits for a checkpoint that is being written
                self._end(error)
            finally:
                self._close(error)

    def _close(self, error: BaseException | None) -> None:
        try:
            self.log.close()
        except OSError:
            if error is None:  # otherwise that error is raised
                raise

    def _end(self, error: BaseException | None) -> None:
        if self._begun:
            again = f"python -m {self.program} --resume {shlex.quote(str(self.path))}" if self.resumable else None
            cell = getattr(self.config, "cell", None)
            if again is not None and isinstance(cell, str) and ":" in cell:  # it must be named again
                again += f" --cell {cell}"
            tell_end(error, again, self.path, self._done, self._status)
