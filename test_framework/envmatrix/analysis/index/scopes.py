"""Scopes: each class, file, directory and project provides fixtures to the tests inside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from envmatrix.analysis.index.answers import Answer, Fixture, Found, Missing, Need, Request, Unknown
from envmatrix.analysis.index.async_plugins import AsyncPlugins
from envmatrix.analysis.index.collect import Provided

NO_ASYNC_PLUGINS = AsyncPlugins()
NOTHING = Provided({}, (), "")


class Scope:
    """A holder of fixtures, and the scope around it.

    Args:
        parent: The scope around it; None for the outermost.
        provided: Its own fixtures.
        supplied: Arguments that a hook `pytest_generate_tests` supplies; an empty name is computed.
        doubt: Returns why a missing name may be provided after all; None if it cannot be.
        async_plugins: The plugins that run async fixtures; by default those of the scope around it.
        runs_hooks: Whether the hook runs for the tests inside; it does not for those of `unittest`.
    """

    def __init__(
        self,
        parent: Scope | None,
        provided: Provided = NOTHING,
        supplied: tuple[str, ...] = (),
        doubt: Callable[[str], Unknown | None] | None = None,
        *,
        async_plugins: AsyncPlugins | None = None,
        runs_hooks: bool = True,
    ) -> None:
        self.parent = parent
        self.async_plugins: AsyncPlugins = async_plugins or (parent.async_plugins if parent else NO_ASYNC_PLUGINS)
        self.provided = provided
        around = parent.supplied if parent else frozenset()
        self.supplied: frozenset[str] = around | set(supplied) if supplied else around
        self.doubt = doubt
        self.runs_hooks = runs_hooks
        self.autouse: tuple[str, ...] = (*(parent.autouse if parent else ()), *provided.autouse)
        self._autouse: tuple[Request, ...] | None = None
        self._found: dict[str, tuple[Fixture, ...]] = {}
        self._answers: dict[str, Answer] = {}
        self._closures: dict[tuple[str, ...], tuple[Request, ...]] = {}
        self._own_requests: dict[tuple[str, int], tuple[Request, ...]] = {}

    def find(self, name: str) -> tuple[Fixture, ...]:
        """Return the visible fixtures of a name, nearest first."""
        if (known := self._found.get(name)) is None:
            around = self.parent.find(name) if self.parent else ()
            own = self.provided.fixtures.get(name)
            known = self._found[name] = (*own, *around) if own else around
        return known

    def answer(self, name: str) -> Answer:
        """Return the answer to a request from here."""
        if (known := self._answers.get(name)) is None:
            known = self._answers[name] = self._answer(name)
        return known

    def answer_to(self, need: Need) -> Answer:
        """Return the answer to a request of a function from here."""
        answer = self.answer(need.name)
        if need.is_certain or not isinstance(answer, Missing):
            return answer
        return Unknown("it is asked for under a condition, or where an error is caught")

    def _answer(self, name: str) -> Answer:
        if not name:
            return Unknown("its name is computed")
        if name == "request":
            return Found(())
        if fixtures := self.find(name):
            return Found(fixtures)
        return self.doubted(name) or Missing()

    def doubted(self, name: str) -> Unknown | None:
        """Return why an unreadable place may provide a name; None if none may."""
        return next((unknown for scope in self.around() if scope.doubt and (unknown := scope.doubt(name))), None)

    def autouse_requests(self) -> tuple[Request, ...]:
        """Return the requests of autouse fixtures for every test here; always the same objects."""
        if self._autouse is None:
            fixtures = [(name, self.find(name)[0]) for name in dict.fromkeys(self.autouse)]
            self._autouse = tuple(
                Request(name, "autouse", each.path, each.line, each.column, None, self.answer(name))
                for name, each in fixtures
            )
        return self._autouse

    def around(self) -> Iterable[Scope]:
        """Yield this scope and all around it, nearest first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def supplies(self, name: str) -> bool:
        """Return whether a hook supplies an argument of this name."""
        return self.runs_hooks and name in self.supplied

    def closure(self, names: tuple[str, ...], ignored: frozenset[str] = frozenset()) -> tuple[Request, ...]:
        """Return the requests of the fixtures of these names, and of all that they lead to; each once.

        The names in `ignored` are parameters of the test, which no fixture answers.
        """
        if (known := self._closures.get(names)) is None:
            known = self._closures[names] = self._walk(names, frozenset())
        if ignored and any(request.name in ignored for request in known):
            return self._walk(names, ignored)
        return known

    def _walk(self, names: tuple[str, ...], ignored: frozenset[str]) -> tuple[Request, ...]:
        requests: dict[tuple[str, int], tuple[Request, ...]] = {}
        for name in names:
            self._visit(name, {}, requests, ignored)
        return tuple(request for each in requests.values() for request in each)

    def _visit(
        self,
        name: str,
        levels: dict[str, int],
        requests: dict[tuple[str, int], tuple[Request, ...]],
        ignored: frozenset[str],
    ) -> None:
        """Walk as pytest's `traverse_fixture_closure`: a request for a fixture's own name leads to the overridden one."""
        level = levels.get(name, 0)
        fixtures = self.find(name)
        if name in ignored or level >= len(fixtures) or (name, level) in requests:
            return
        fixture = fixtures[level]
        if (own := self._own_requests.get((name, level))) is None:
            own = self._own_requests[name, level] = tuple(self._requests_of(fixture, fixtures[level + 1 :]))
        requests[name, level] = tuple(each for each in own if each.name not in ignored) if ignored else own
        levels[name] = level + 1
        for need in fixture.needs:
            if need.how == "argument":
                self._visit(need.name, levels, requests, ignored)
        levels[name] = level

    def _requests_of(self, fixture: Fixture, overridden: tuple[Fixture, ...]) -> Iterable[Request]:
        if runner := self.async_plugins.runner_of(fixture):
            at = fixture.path, fixture.line, fixture.column
            yield Request(runner.name, "getfixturevalue", *at, fixture, Found((runner,)))
        for need in fixture.needs:
            answer = self.answer_to(need)
            if isinstance(answer, Missing) and self.supplies(need.name):
                continue
            if need.name == fixture.name:  # with none to override, a cycle of one
                unknown = None if overridden else self.doubted(need.name)
                answer = unknown or Found(overridden or (fixture,))
            elif isinstance(answer, Missing) and fixture.doubt:
                answer = Unknown(f"{fixture.doubt} may supply it")
            yield Request(need.name, need.how, fixture.path, need.line, need.column, fixture, answer)
