"""The kind `background`: a program that no test reaches and the product needs, as a queue's worker."""

from __future__ import annotations

from envmatrix.services.kinds.no_address import NoAddressKind


class BackgroundKind(NoAddressKind):
    """`kind = "background"`: up while it runs."""

    name = "background"
    version = "runs"


KIND = BackgroundKind()
