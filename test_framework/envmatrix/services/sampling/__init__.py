"""What services and the processes of tests use, looked at again and again.

`envmatrix monitor` looks itself; a run has a process of its own for it, `__main__`, which no patch of a test reaches.
"""

from envmatrix.services.sampling.meter import tree
from envmatrix.services.sampling.sampler import Sampler

__all__ = ["Sampler", "tree"]
