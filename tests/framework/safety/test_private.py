"""What is ours alone can be neither read nor replaced by another user, whatever the umask."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from envmatrix.safety.private import (
    bind_private,
    is_own_account,
    make_directory,
    open_private,
    why_not_private,
    write_private,
)
from tests.framework.other_user import as_another_user, common_directory, needs_another_user


def mode(path: Path) -> int:
    """Return a file's permissions."""
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.fault("wide-umask")
@pytest.mark.parametrize("bits", [0o000, 0o077])
def test_permissions_do_not_depend_on_the_umask(tmp_path: Path, umask: Callable[[int], object], bits: int) -> None:
    """Files and sockets are 0600, directories exactly as asked for."""
    umask(bits)
    make_directory(tmp_path / "private")
    make_directory(tmp_path / "passage", 0o711)
    write_private(tmp_path / "text", "secret")
    with socket.socket(socket.AF_UNIX) as listener:
        bind_private(listener, tmp_path / "socket")
    assert {path.name: oct(mode(path)) for path in tmp_path.iterdir()} == {
        "private": "0o700",
        "passage": "0o711",
        "text": "0o600",
        "socket": "0o600",
    }


def test_a_private_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    """A symbolic link in the way is an error, and its target stays as it is."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        open_private(tmp_path / "link", "w")
    assert victim.read_text() == "precious"


@pytest.mark.fault("planted-run-directory")
def test_a_directory_is_private_if_no_other_user_can_change_it(tmp_path: Path) -> None:
    """Ours and closed to others, below directories in which nobody can replace it; a link is followed nowhere."""
    common = tmp_path / "common"
    inner = common / "inner"
    inner.mkdir(parents=True, mode=0o755)
    common.chmod(0o1777)
    assert why_not_private(inner) == ""
    common.chmod(0o777)
    assert why_not_private(inner) == f"other users can write to {common}"
    assert why_not_private(common) == f"other users can write to {common}"
    common.chmod(0o755)
    assert why_not_private(inner) == ""
    inner.chmod(0o770)
    assert why_not_private(inner) == f"other users can write to {inner}"
    (tmp_path / "link").symlink_to(common)
    assert why_not_private(tmp_path / "link" / "inner").startswith(f"{tmp_path / 'link'} cannot be entered")
    assert why_not_private(tmp_path / "none") == f"{tmp_path / 'none'} cannot be entered: No such file or directory"


@needs_another_user
@pytest.mark.fault("planted-run-directory")
def test_a_directory_of_another_user_is_not_private() -> None:
    """Nor is one of ours below it: that user can replace it."""
    with common_directory() as common:
        trap = common / "trap"
        as_another_user(lambda: trap.mkdir(mode=0o755))
        (trap / "ours").mkdir(mode=0o700)
        for directory in (trap, trap / "ours"):
            assert why_not_private(directory).startswith(f"{trap} belongs to the user ")


@needs_another_user
@pytest.mark.fault("wide-umask")
def test_another_user_cannot_connect() -> None:
    """The socket's permissions keep other accounts out; where they do not, the peer's account tells."""
    with common_directory() as common, socket.socket(socket.AF_UNIX) as listener:
        path = common / "socket"
        bind_private(listener, path)
        listener.listen()

        def connect() -> bytes:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                return client.recv(1)

        assert as_another_user(connect) == "PermissionError"
        path.chmod(0o666)
        listener.settimeout(5)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            with listener.accept()[0] as ours:
                assert is_own_account(ours)
        assert as_another_user(lambda: socket.socket(socket.AF_UNIX).connect(str(path))) == "None"
        with listener.accept()[0] as stranger:
            assert not is_own_account(stranger)
