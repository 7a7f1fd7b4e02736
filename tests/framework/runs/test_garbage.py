"""The garbage collector is paused, and left as it was."""

import gc
from collections.abc import Iterator

import pytest

from envmatrix.runs.garbage import paused


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The collector as it was, whatever a test does to it."""
    was_on = gc.isenabled()
    gc.unfreeze()
    yield
    gc.unfreeze()
    (gc.enable if was_on else gc.disable)()


@pytest.mark.parametrize("was_on", [True, False])
def test_it_is_off_meanwhile_and_then_as_before(was_on: bool) -> None:
    """Whoever turned it off finds it off, whoever left it on finds it on, also after an error."""
    (gc.enable if was_on else gc.disable)()
    with pytest.raises(RuntimeError, match="collecting: False"), paused():
        raise RuntimeError(f"collecting: {gc.isenabled()}")
    assert gc.isenabled() is was_on


def test_what_was_made_counts_as_old() -> None:
    """The next collection of what is young does not look through all that was just read, and all of it can still go."""
    gc.enable()
    with paused():
        made: list[list[object]] = [[]]
        made[0].append(made)
    assert not any(each is made for each in gc.get_objects(generation=0))
    assert any(each is made for each in gc.get_objects())
    assert gc.get_freeze_count() == 0


def test_what_others_froze_stays_frozen() -> None:
    """A process that froze what it shares with its children keeps it so."""
    gc.enable()
    gc.freeze()
    with paused():
        pass
    assert gc.get_freeze_count()  # fewer than before, maybe: another thread lets go of some at any moment
