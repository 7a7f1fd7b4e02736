"""The garbage collector, kept from looking through millions of values over and over while they are being made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Collect no garbage meanwhile: for what makes many values that live on, and no circles of them.

    What was made counts as old afterwards, as if it had been looked through already.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():  # nobody else's values are frozen, and would thaw
                gc.freeze()
                gc.unfreeze()
            gc.enable()
