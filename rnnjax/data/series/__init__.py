"""Time series from a CSV file or a table, with checks."""

from rnnjax.data.series.csv_table import MOST_BYTES as MOST_BYTES
from rnnjax.data.series.reading import from_table as from_table
from rnnjax.data.series.reading import read_series as read_series
from rnnjax.data.series.types import Columns as Columns
from rnnjax.data.series.types import Format as Format
from rnnjax.data.series.types import Series as Series
from rnnjax.data.series.types import SeriesTable as SeriesTable
