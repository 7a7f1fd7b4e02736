"""A small, real system to test: auth service, backend, scripted language model. See README.md beside this file.

Importing anything below this package starts nothing, opens nothing and reads no environment variable: a fork server may
import it all and fork.
"""

__version__ = "0.1.0"
