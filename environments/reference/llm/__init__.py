"""A scripted, OpenAI-compatible language model: `python -m environments.reference.llm`; a real one: `….llm.real`."""

from environments.reference.llm.app import main

__all__ = ["main"]
