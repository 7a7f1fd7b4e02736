"""A kept environment outlives the process that started it, and is known by what it was started from."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterator

import pytest

from envmatrix.environments import load_environment
from envmatrix.exceptions import SupervisorError
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.supervisor import Owner
from envmatrix.services.supervisor import kept as kept_module
from envmatrix.services.supervisor.client import end_run
from envmatrix.services.supervisor.kept import KeptEnvironment, Origin, find_kept, kept_environments, record
from tests.framework.services.place import Place, eventually, listens, with_faults


@pytest.fixture
def kept(place: Place, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptEnvironment]:
    """One service, handed over to its supervisor."""
    monkeypatch.setattr(kept_module, "bases", lambda: [place.runs])
    place.declare(with_faults(extra='env = { GREETING = "${GREETING:-hello}" }'))
    assert place.client(owner.run_dir).start(["shop"]).states["shop"].is_up
    kept = record(owner, origin(place))
    owner.hand_over()
    yield kept
    if kept.run.path.exists():
        end_run(kept.run)


def origin(place: Place, **variables: str) -> Origin:
    """What `local` would be started from now."""
    return Origin.of(load_environment("local", place.environments, variables=variables), variables)


def port(kept: KeptEnvironment) -> int:
    """The port of its one service."""
    endpoint = kept.client.states()["shop"].endpoint
    assert endpoint
    return endpoint.port


def test_it_outlives_its_owner_and_ends_with_all_it_started(place: Place, owner: Owner, kept: KeptEnvironment) -> None:
    """Closing the owner ends nothing any more; ending the run leaves no process, port or directory."""
    owner.close()
    found = find_kept(place.environments / "local.toml")
    assert found
    assert found.run.path == kept.run.path
    assert found.why_stale(origin(place)) == ""
    where = port(found)
    assert listens(where)
    assert end_run(found.run)["shop"].status == "stopped"
    assert not listens(where)
    assert list(kept_environments()) == []


def test_its_supervisor_ends_everything_when_it_is_terminated(kept: KeptEnvironment) -> None:
    """SIGTERM is enough: the directory goes too, since nobody else would remove it."""
    where = port(kept)
    assert kept.supervisor
    os.kill(kept.supervisor, signal.SIGTERM)
    assert eventually(lambda: not kept.run.path.exists() and not listens(where))


def test_a_supervisor_that_was_killed_is_no_supervisor(place: Place, kept: KeptEnvironment) -> None:
    """What it left is ended with it, and another process that got its id since is not taken for it."""
    identity = ProcessIdentity.read(kept.run.supervisor)
    assert identity
    ProcessIdentity(identity.pid, identity.started - 1).write(kept.run.supervisor)
    assert kept.why_stale(origin(place)) == "its supervisor has ended"
    identity.write(kept.run.supervisor)
    os.kill(identity.pid, signal.SIGKILL)
    assert eventually(lambda: kept.why_stale(origin(place)) == "its supervisor has ended")


def test_what_it_was_started_from_is_compared(place: Place, kept: KeptEnvironment) -> None:
    """Another text, variable, commit or interpreter makes it stale; a variable that it does not use makes no difference."""
    assert kept.why_stale(origin(place, OTHER="x")) == ""
    changed = "local.toml has changed, or a variable that it uses"
    assert kept.why_stale(origin(place, GREETING="good day")) == changed
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], cwd=place.root, check=True)
    now = origin(place)
    assert kept.why_stale(now) == f"it runs commit unknown, and this is {now.commit[:7]}"
    other = KeptEnvironment(kept.run, Origin(now.declaration, now.digest, now.commit, "/usr/bin/python"))
    assert other.why_stale(now) == "it runs with /usr/bin/python"
    declaration = place.environments / "local.toml"
    declaration.write_text(declaration.read_text() + "\n# of today\n")
    assert kept.why_stale(origin(place)) == changed


def test_what_a_declaration_extends_and_overrides_make_it_stale_too(place: Place, kept: KeptEnvironment) -> None:
    """A change of an extended file is one of the declaration; other values of `--set` are told as such."""
    file = place.environments / "local.toml"
    base = file.rename(place.environments / "_base.toml")
    file.write_text("extends = '_base.toml'\n")
    before = origin(place)
    assert (before.declaration, before.overrides) == (str(file), ())
    base.write_text(base.read_text() + "\n# of today\n")
    assert origin(place).digest != before.digest
    overridden = load_environment("local", place.environments, variables={}, overrides=["description=x"])
    assert kept.why_stale(Origin.of(overridden, {})) == "it was started with other values of --set"


def test_a_variant_is_kept_beside_its_environment_and_never_taken_for_it(place: Place, kept: KeptEnvironment) -> None:
    """Each is found by its own name: tests of a healthy `local` must not meet a service that is down, nor the other way."""
    file = place.environments / "local.toml"
    assert find_kept(file, "shop.down") is None
    degraded = Owner(place.runs / "d")
    try:
        variant = load_environment("local+shop.down", place.environments, variables={})
        client = place.client(degraded.run_dir, "local+shop.down")
        state = client.start(["shop"]).states["shop"]
        assert state.is_up
        assert state.endpoint
        spec = variant.services["shop"]
        assert client.ping({"shop": (spec, state.endpoint)}, 1)["shop"].status == "down"
        other = record(degraded, Origin.of(variant, {}))
        assert other.name == "local+shop.down"
        assert (found := find_kept(file, "shop.down")) is not None
        assert found.run.path == degraded.run_dir
        assert (healthy := find_kept(file)) is not None
        assert healthy.run.path == kept.run.path
    finally:
        degraded.close(deadline=4)


def test_only_one_of_a_declaration_is_recorded(place: Place, kept: KeptEnvironment) -> None:
    """Of two that start at once the second finds the first."""
    second = Owner(place.runs / "s")
    assert record(second, origin(place)).run.path == kept.run.path
    second.close()
    assert not (place.runs / "s").exists()


def test_a_service_starts_again_from_the_code_as_it_is_now(place: Place, owner: Owner) -> None:
    """Also one that is forked from a process in which its old code is loaded; its address stays."""
    (place.root / "words.py").write_text("WORDS = 'old'\n")
    (place.root / "shop.py").write_text(
        "import runpy, sys, words\nprint(words.WORDS)\nrunpy.run_path(sys.argv.pop(1))\n"
    )
    place.declare("""
[services.shop]
kind = "banner"
source = "process"
command = ["{python}", "-m", "shop", "SERVER", "{shop.port}"]
preload = ["words"]
""")
    client = place.client(owner.run_dir)
    before = client.start(["shop"]).states["shop"]
    (place.root / "words.py").write_text("WORDS = 'renewed'\n")
    after = client.restart("shop")
    assert after.endpoint == before.endpoint
    assert after.pid != before.pid
    assert after.is_up
    assert not after.crashes
    assert client.log_tails(["shop"])["shop"].startswith("renewed\n")
    with pytest.raises(SupervisorError, match="no service 'ship'"):
        client.restart("ship")


def test_its_record_is_private(kept: KeptEnvironment) -> None:
    """Nobody else can read what it was started from, or put a record of their own in its place."""
    assert stat.S_IMODE(kept.run.kept.stat().st_mode) == 0o600
    kept.run.path.chmod(0o777)
    assert list(kept_environments()) == []
    kept.run.path.chmod(0o700)
