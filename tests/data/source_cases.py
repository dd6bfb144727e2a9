"""The table of files as users have them: the cases of the files `source_*_cases.py`."""

from source_case import Case
from source_column_cases import COLUMN_CASES
from source_file_cases import FILE_CASES
from source_label_cases import LABEL_CASES
from source_part_cases import PART_CASES
from source_quote_cases import QUOTE_CASES

CASES: dict[str, Case] = {**PART_CASES, **LABEL_CASES, **FILE_CASES, **COLUMN_CASES, **QUOTE_CASES}
