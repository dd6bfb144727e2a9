"""Runnable studies: `python -m experiments` lists them."""

import signal
import sys

from experiments.address_space import check_address_space

if sys.argv[:1] == ["-m"]:
    # `python -m experiments.NAME` runs this first: Ctrl-C ends it without a traceback while all else is imported.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Before that import, too: libraries that find no room for a thread or a map end the process with no word of ours.
    check_address_space(sys.orig_argv)
