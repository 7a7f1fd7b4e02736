"""The registry of fixtures for people and programs, one module a form."""

from envmatrix.report.registry.json_ import as_json
from envmatrix.report.registry.markdown import as_markdown
from envmatrix.report.registry.svg import as_svg
from envmatrix.report.registry.text import as_text

__all__ = ["as_json", "as_markdown", "as_svg", "as_text"]
