"""The first declaration of a project that has none: what its own files say about the services that it needs."""

from envmatrix.adopt.look import look
from envmatrix.adopt.write import new_texts

__all__ = ["look", "new_texts"]
