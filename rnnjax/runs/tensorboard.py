"""Event files for TensorBoard: scalars, histograms and figures of a run.

Records are written directly, in the calling thread: the `RecordWriter` of tensorboardX follows links, and its
`SummaryWriter` uses a thread that dies on a full disk, after which training would wait for it forever.
"""

import os
import socket
import struct
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

import jax
import numpy as np

from rnnjax.compat import event_protos, masked_checksum
from rnnjax.files import create_file, make_folder, rendered
from rnnjax.training.histograms import EDGES, Histogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Written events are on disk after at most this number of seconds.
FLUSH_SECONDS = 10.0


class TensorBoard:
    """A new event file in a folder, which is created if it does not exist.

    TensorBoard then hides the events of earlier files in the folder: all of them, or with `resumed_at` those of later
    steps. Methods raise OSError if the disk is full, ValueError after `close`. The constructor raises
    ModuleNotFoundError without tensorboardX.
    """

    def __init__(self, path: Path, resumed_at: int | None = None):
        protos = event_protos()
        self._events, self._summaries = protos.events, protos.summaries
        make_folder(path)
        # TensorBoard reads files in the order of their names, also for sessions started in the same second.
        earlier = len(list(path.glob("events.out.tfevents.*")))
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{earlier:04d}.{uuid.uuid4().hex}"
        self._file = create_file(path / name)
        self._flushed = time.monotonic()
        self._closed = False
        self._write(self._events.Event(file_version="brain.Event:2"))
        # Written in every session: TensorBoard ignores the first START event; each later one hides earlier events of
        # this step and later ones.
        start = self._events.SessionLog(status=self._events.SessionLog.START)
        self._write(self._events.Event(step=0 if resumed_at is None else resumed_at + 1, session_log=start))
        self.flush()

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, *stopped: object) -> None:
        self.close()

    def scalars(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Writes numbers by name, as float32."""
        self._summary(
            step, [self._summaries.Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()]
        )

    def histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        """Writes histograms by name, without those that have no finite numbers.

        If some numbers are not finite, their count is written as the scalar `NAME/not_finite`.
        """
        host: dict[str, Histogram] = jax.device_get(dict(histograms))
        values = [
            self._summaries.Summary.Value(tag=name, histo=_proto(self._summaries, histogram))
            for name, histogram in host.items()
            if histogram.counts.any()
        ]
        self._summary(step, values)
        self.scalars(step, {f"{name}/not_finite": h.not_finite for name, h in host.items() if h.not_finite})

    def figure(self, step: int, name: str, figure: "Figure") -> None:
        """Writes a figure as a PNG image."""
        png = rendered(figure, "png", "figure")
        width, height = struct.unpack(">II", png[16:24])
        image = self._summaries.Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        self._summary(step, [self._summaries.Summary.Value(tag=name, image=image)])

    def flush(self) -> None:
        """Writes everything so far to disk."""
        self._check()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flushes and closes the file; does nothing if it is closed."""
        if self._closed:
            return
        try:
            self.flush()
        finally:
            self._closed = True
            self._file.close()

    def _check(self) -> None:
        if self._closed:
            raise ValueError("event file: expected an open file, got a closed one")

    def _summary(self, step: int, values: list[Any]) -> None:
        self._check()
        if values:
            self._write(self._events.Event(step=step, summary=self._summaries.Summary(value=values)))

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        data = event.SerializeToString()
        length = struct.pack("<Q", len(data))
        self._file.write(length + masked_checksum(length) + data + masked_checksum(data))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()


def _proto(summaries: Any, histogram: Histogram) -> Any:
    """The histogram as a protocol buffer, from the first bin that is not empty to the last."""
    filled = np.flatnonzero(histogram.counts)
    bins = slice(filled[0], filled[-1] + 1)
    # TensorBoard sends the limits as JSON, which has no infinity.
    limits = np.minimum(EDGES[1:][bins], max(float(histogram.maximum), EDGES[-2]))
    return summaries.HistogramProto(
        min=float(histogram.minimum),
        max=float(histogram.maximum),
        num=int(histogram.counts.sum()),
        sum=float(histogram.total),
        sum_squares=float(histogram.squares),
        bucket_limit=limits.tolist(),
        bucket=histogram.counts[bins].tolist(),
    )
