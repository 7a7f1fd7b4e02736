"""Find renamed tests: of two sets of tests, those with the same body and parameters under another name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from envmatrix.runs.nodeid import file_of, split


def renames(old: Mapping[str, str], new: Mapping[str, str]) -> Mapping[str, str]:
    """Map new names to old ones of the same body and parameters; both sides are name → body, of what the other lacks.

    Bodies can be alike: a function of the same name in another file or class is the same first, then another function in
    the same file, then any. Where several could be meant at a step, none is.
    """
    names: dict[str, str] = {}
    for key in (_moved, _in_file, _anywhere):
        taken = set(names.values())
        theirs = _unique(key, {test: body for test, body in new.items() if test not in names})
        ours = _unique(key, {test: body for test, body in old.items() if test not in taken})
        names |= {theirs[each]: ours[each] for each in theirs.keys() & ours.keys()}
    return names


_Key = tuple[str, ...]


def _anywhere(test: str, body: str) -> _Key:
    return body, split(test).parameters


def _in_file(test: str, body: str) -> _Key:
    return (*_anywhere(test, body), file_of(test))


def _moved(test: str, body: str) -> _Key:
    return (*_anywhere(test, body), split(test).name.rpartition("::")[2])


def _unique(key: Callable[[str, str], _Key], bodies: Mapping[str, str]) -> Mapping[_Key, str]:
    by_key: dict[_Key, list[str]] = {}
    for test, body in bodies.items():
        if body:
            by_key.setdefault(key(test, body), []).append(test)
    return {each: tests[0] for each, tests in by_key.items() if len(tests) == 1}
