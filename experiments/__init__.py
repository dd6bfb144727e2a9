"""Runnable studies: `python -m experiments` lists them."""

import signal
import sys

if sys.argv[:1] == ["-m"]:
    # `python -m experiments.NAME` runs this first: Ctrl-C ends it without a traceback while all else is imported.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
