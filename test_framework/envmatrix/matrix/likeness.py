"""Whether two failures are alike although their texts hold values that differ from run to run."""

from __future__ import annotations

import re
from functools import lru_cache

_CHANGING = re.compile(
    r"""
      [0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}            # a UUID
    | 0x[0-9a-fA-F]+                                                  # an address in memory
    | \b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?  # a date, a time
    | \b\d{2}:\d{2}:\d{2}(?:\.\d+)?                                  # a time of the day
    | (?<=:)\d{4,5}\b | (?<=port\ )\d{4,5}\b                         # a port
    | \b\d+\.\d{3,}(?:e[+-]?\d+)?                                   # a measured number
    | \b\d+(?:\.\d+)?\ ?(?:ms|s|seconds)\b                          # a duration
    | \d{6,}                                                          # a number that counts, or a time
    | (?<![A-Za-z])(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,}(?![A-Za-z])  # a hexadecimal id
    """,
    re.VERBOSE,
)
"""Values that a product makes anew in each run. Small whole numbers stay: a status or a count is what failed."""


@lru_cache(maxsize=1 << 14)
def likeness(text: str) -> str:
    """Return a key that is equal for texts that differ only in ids, times, ports and the like."""
    return _CHANGING.sub("…", text)
