"""Runnable studies: `python -m experiments` lists them."""

import signal
import sys

from experiments.address_space import check_address_space
from experiments.packages import check_packages

if sys.argv[:1] == ["-m"]:
    # `python -m experiments.NAME` runs this first: Ctrl-C ends it without a traceback while all else is imported.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Before that import, too: libraries that find no room for a thread or a map end the process with no word of ours.
    check_address_space(sys.orig_argv)
    # And before packages of extras: without one of them a command ends with one line.
    check_packages(sys.orig_argv)
