"""The registry of fixtures for people and programs, one module a form."""

from test_framework.report.registry.json_ import as_json
from test_framework.report.registry.markdown import as_markdown
from test_framework.report.registry.svg import as_svg
from test_framework.report.registry.text import as_text

__all__ = ["as_json", "as_markdown", "as_svg", "as_text"]
