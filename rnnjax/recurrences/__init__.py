"""Recurrences: loops that run a cell over time."""

from rnnjax.recurrences.associative import Associative as Associative
from rnnjax.recurrences.chunked import Chunked as Chunked
from rnnjax.recurrences.cudnn import CuDNN as CuDNN
from rnnjax.recurrences.newton import Newton as Newton
from rnnjax.recurrences.newton import Solution as Solution
from rnnjax.recurrences.noise import Noise as Noise
from rnnjax.recurrences.recurrence import Recurrence as Recurrence
from rnnjax.recurrences.scan import Scan as Scan
from rnnjax.recurrences.unrolled import Unrolled as Unrolled
