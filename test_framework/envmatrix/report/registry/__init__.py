"""Reports of the fixtures of a tree: one module a format.

`envmatrix fixtures` and `docs/generate.py` come in here.
"""

from envmatrix.report.registry.json_ import as_json
from envmatrix.report.registry.markdown import as_markdown
from envmatrix.report.registry.mermaid import as_mermaid
from envmatrix.report.registry.text import as_text

__all__ = ["as_json", "as_markdown", "as_mermaid", "as_text"]
