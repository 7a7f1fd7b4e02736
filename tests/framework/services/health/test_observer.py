"""Whether this machine is what is cut off."""

import shutil
import subprocess
import sys

import pytest

from envmatrix.services.health.observer import Blindness, blindness

NOWHERE = "nowhere.invalid"
"""By RFC 2606 no resolver knows it."""
BLIND = (
    "from envmatrix.services.health.observer import blindness; print(blindness(['192.0.2.1', 'nowhere.invalid']).name)"
)


@pytest.mark.fault("dns-failure")
def test_no_host_resolves() -> None:
    """Where the resolver knows no host at all it may be the resolver; where it knows one, it is the other host."""
    assert blindness([NOWHERE, f"other.{NOWHERE}"]) is Blindness.NO_RESOLVER
    assert blindness([NOWHERE, "localhost"]) is None
    assert blindness([]) is None


def test_no_route() -> None:
    """In a network without interfaces no address can be reached."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-rn", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system lets us make no network of our own")
    seen = subprocess.run([unshare, "-rn", sys.executable, "-c", BLIND], capture_output=True, text=True, check=True)
    assert seen.stdout == "NO_ROUTE\n"
