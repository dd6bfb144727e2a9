"""Event files that TensorBoard reads: scalars, histograms and figures of a run.

Records are written here, in this thread: the `RecordWriter` of tensorboardX follows links, and its `SummaryWriter` has
a thread of its own, which dies on a full disk; training then waits for it for ever.
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

# Seconds after which what was written is on disk for whoever watches.
FLUSH_SECONDS = 10.0


class TensorBoard:
    """A new event file in a folder, which is made where it is not there.

    What earlier files of the folder hold is no longer shown: of any step, or, resumed after step S, of later ones.
    Every method raises OSError where the disk is full, ValueError after `close`; a new one ModuleNotFoundError without
    tensorboardX.
    """

    def __init__(self, path: Path, resumed_at: int | None = None):
        protos = event_protos()
        self._events, self._summaries = protos.events, protos.summaries
        make_folder(path)
        # TensorBoard reads files by name, which must follow the order of sessions within a second too.
        earlier = len(list(path.glob("events.out.tfevents.*")))
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{earlier:04d}.{uuid.uuid4().hex}"
        self._file = create_file(path / name)
        self._flushed = time.monotonic()
        self._closed = False
        self._write(self._events.Event(file_version="brain.Event:2"))
        # In every session: readers take the first start for none, and each later one for the end of what is as late.
        start = self._events.SessionLog(status=self._events.SessionLog.START)
        self._write(self._events.Event(step=0 if resumed_at is None else resumed_at + 1, session_log=start))
        self.flush()

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, *stopped: object) -> None:
        self.close()

    def scalars(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Numbers by name, as float32."""
        self._summary(
            step, [self._summaries.Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()]
        )

    def histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        """Histograms by name; how many numbers were not finite, if any, is a scalar of the name `NAME/not_finite`.

        A histogram without finite numbers is left out.
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
        """A figure as a PNG image."""
        png = rendered(figure, "png", "figure")
        width, height = struct.unpack(">II", png[16:24])
        image = self._summaries.Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        self._summary(step, [self._summaries.Summary.Value(tag=name, image=image)])

    def flush(self) -> None:
        """Everything so far is on disk when this returns."""
        self._check()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flushes, and closes the file. A second time it does nothing."""
        if self._closed:
            return
        try:
            self.flush()
        finally:
            self._closed = True
            self._file.close()

    def _check(self) -> None:
        if self._closed:
            raise ValueError("event file: expected an open one, got one that was closed")

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
    """From the first bin that is not empty to the last."""
    filled = np.flatnonzero(histogram.counts)
    bins = slice(filled[0], filled[-1] + 1)
    # JSON, by which TensorBoard shows it, knows no infinity.
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
