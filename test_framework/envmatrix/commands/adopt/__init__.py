"""The first declaration of a project that has none: what its own files say about the services that it needs."""

from envmatrix.commands.adopt.guess import Found
from envmatrix.commands.adopt.look import look
from envmatrix.commands.adopt.write import new_texts

__all__ = ["Found", "look", "new_texts"]
