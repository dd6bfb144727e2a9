"""Options that say how a file of series is written."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How a file is written. What is not given is found out and printed."""

    date_format: str | None = None
    """Files: format of the dates, as for strptime ("%d/%m/%Y"; also %q for a quarter), or epoch-s, epoch-ms, epoch-us,
    epoch-ns, excel, fiscal-year (2000-01), fractional-year. Default: ISO 8601 or another unambiguous format."""
    century: int | None = None
    """Files: the first of the hundred years to which years of two digits belong (1900)."""
    timezone: str | None = None
    """Files: time zone of dates without offsets (Europe/Berlin). They become UTC. Default: they are not changed. Dates
    with offsets or in UTC that are all midnights in the zone become local dates."""
    separator: str | None = None
    """Files: character between columns, or tab. Default: that of the line of column names."""
    skip_lines: int | None = None
    """Files: number of lines before the column names. Default: up to the first line that has all of them."""
    comment: str | None = None
    """Files: beginning of lines that are left out; "" for none. Default: #."""
    encoding: str | None = None
    """Files: encoding, such as latin-1. Default: UTF-8, UTF-16 or cp1252, as the file shows."""
    decimal: Literal[".", ","] | None = None
    """Files: decimal mark. Default: what the numbers show."""
