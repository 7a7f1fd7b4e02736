"""Which hosts are this machine."""

import pytest

from envmatrix.safety.loopback import is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.7", True),
        ("::1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("nowhere.invalid", False),
        ("", False),
    ],
)
def test_this_machine_is_known(host: str, expected: bool) -> None:
    """Loopback by name or address."""
    assert is_loopback(host) is expected
