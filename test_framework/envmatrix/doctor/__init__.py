"""Why envmatrix does not work on this machine: each check looks at one thing, and names its mend."""

from envmatrix.doctor.checks import Check, Place, examine

__all__ = ["Check", "Place", "examine"]
