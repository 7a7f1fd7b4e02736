"""The kind `job`: a command that runs to its end, as a migration does, before what needs it is started."""

from __future__ import annotations

from envmatrix.services.kinds.no_address import NoAddressKind


class JobKind(NoAddressKind):
    """`kind = "job"`: up once its command has ended with 0; that it came up is all there is to know."""

    name = "job"
    version = "exit code 0"


KIND = JobKind()
