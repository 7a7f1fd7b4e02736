"""What a matrix looks like: one small module a format, all behind one Protocol."""

from envmatrix.report.base import FORMATS, Reporter, reporter

__all__ = ["FORMATS", "Reporter", "reporter"]
