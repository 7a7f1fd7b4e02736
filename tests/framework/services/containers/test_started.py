"""What a run started is told from what was there, and noted for whoever stops it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from envmatrix.services.containers.commands import Commands
from envmatrix.services.containers.container import Container
from envmatrix.services.containers.started import Note, Started, stop_started
from tests.framework.services.containers.test_container import inspected

RUNNING = replace(Container.read(inspected()), id="running", name="running")
ENDED = replace(RUNNING, id="ended", name="ended", is_running=False)
NEW = replace(RUNNING, id="new", name="new", created="2026-12-02", pod="pod")
OLDER = replace(NEW, id="older", name="older", created="2026-12-01")


def test_what_was_made_is_removed_what_was_started_is_stopped_and_what_ran_is_left() -> None:
    """A container that was made anew in the place of an ended one is somebody's: it is only stopped."""
    again = replace(ENDED, is_running=True, started="later")
    other = replace(ENDED, id="other")
    note = Note.of("podman", [RUNNING, ENDED], [RUNNING, again, NEW, OLDER], is_sure=True)
    assert note == Note("podman", remove=("older", "new"), stop=("ended",), project="shop", pod="pod")
    assert Note.of("podman", [ENDED], [replace(other, started="later")], is_sure=True).stop == ("other",)


def test_an_ended_container_that_nobody_started_is_stopped_only_while_a_start_may_be_under_way() -> None:
    """Killed between the two, the run would leave it running."""
    assert Note.of("podman", [RUNNING, ENDED], [RUNNING, ENDED], is_sure=False) == Note(
        "podman", stop=("ended",), project="shop"
    )
    assert Note.of("podman", [ENDED], [ENDED], is_sure=True).stop == ()


def test_a_list_whose_engine_does_not_answer_is_kept_for_later(tmp_path: Path) -> None:
    """A later run tries again; where nothing was started there is nothing to do."""
    path = tmp_path / "containers.json"
    commands = Commands(tmp_path, {"PATH": str(tmp_path)})
    assert stop_started(path, commands)
    Started(path).note("web", Note("no-such-engine", remove=("new",)))
    assert not stop_started(path, commands)
    assert path.exists()
