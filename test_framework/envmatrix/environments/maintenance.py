"""What a `[[maintenance]]` table may say: when an environment is worked on, so that nobody is to be told of it."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from envmatrix.environments.tables import Table


class Maintenance(Table):
    """One window: meanwhile `envmatrix health --continuous` looks on, and calls nothing a change."""

    start: AwareDatetime
    """`2026-12-05T22:00:00Z`; the first start of a window that comes again."""
    end: AwareDatetime
    """Its end; the first one."""
    every_days: Annotated[int, Field(gt=0, le=366)] | None = None
    """Days from one start to the next: 7 for each week. Without it the window is there once."""
    reason: str = ""
    """What is done, for people."""

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.end <= self.start:
            raise ValueError("ends before it starts")
        if self.every_days and self.end - self.start >= timedelta(days=self.every_days):
            raise ValueError("is as long as the time from one start to the next, so that it never ends")
        return self

    def end_at(self, moment: datetime) -> datetime | None:
        """Return when the window that a moment is in ends; None where it is in none."""
        since = moment - self.start
        if self.every_days and since > timedelta(0):
            since %= timedelta(days=self.every_days)
        length = self.end - self.start
        return moment + length - since if timedelta(0) <= since < length else None
