"""Keeps an error of our own hooks from ending the run: they handle objects of tests, which may raise at any touch."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

from envmatrix.masking import MASKER
from envmatrix.safety.unpatched import text_of

_PACKAGE = str(Path(__file__).parents[1])
_MAX_REMARK = 300
"""Characters."""


class Guard:
    """Stands around what a hook does: an error in it costs the evidence that the hook was to gather, and is remarked."""

    def __init__(self) -> None:
        self.remarks: list[str] = []
        """What went wrong and where, until a report takes it to the recorder."""

    def __enter__(self) -> None:
        """Begin; costs next to nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Swallow an error; what ends a test or a run on purpose (pytest's outcomes, Ctrl-C) is none."""
        if not isinstance(error, Exception):
            return False
        ours = [frame for frame in traceback.extract_tb(trace) if frame.filename.startswith(_PACKAGE)]
        place = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
        text = " ".join(MASKER.mask(text_of(error)).split())[:_MAX_REMARK]
        self.remarks.append(f"evidence was lost to an error of our own hook: {type(error).__name__}: {text}{place}")
        return True

    def take(self) -> str:
        """Return what was remarked since it was last taken, in one line."""
        remarks, self.remarks = self.remarks, []
        return "; ".join(dict.fromkeys(remarks))
