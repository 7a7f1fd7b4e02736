"""pytest's settings of a project, found and read as pytest does."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from envmatrix.analysis.project.config_files import line_of, read_ini, read_toml, table
from envmatrix.exceptions import DeclarationError
from envmatrix.safety.input_files import open_regular

CONFIG_NAMES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""Configuration files that pytest looks for in each directory, in order."""

_DEDICATED = frozenset(CONFIG_NAMES[:4])
"""Files that make a directory pytest's root even when they are empty."""

ImportMode: TypeAlias = Literal["prepend", "append", "importlib"]


@dataclass(frozen=True, slots=True)
class PytestSettings:
    """pytest's configuration of a project; pytest's defaults where it sets nothing."""

    root: Path
    """pytest's rootdir, absolute."""
    file: Path | None = None
    """The file that was read."""
    testpaths: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    """`suites` of `[tool.envmatrix]` in the root's `pyproject.toml`."""
    python_files: tuple[str, ...] = ("test_*.py", "*_test.py")
    python_classes: tuple[str, ...] = ("Test",)
    python_functions: tuple[str, ...] = ("test",)
    norecursedirs: tuple[str, ...] = ("*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv", "{arch}")
    pythonpath: tuple[Path, ...] = ()
    """Absolute."""
    usefixtures: tuple[str, ...] = ()
    import_mode: ImportMode = "prepend"
    plugins: tuple[str, ...] = ()
    """Named by `-p NAME` in `addopts`."""
    blocked: frozenset[str] = frozenset()
    """Named by `-p no:NAME` in `addopts`, and not named again by a later `-p NAME`."""
    is_autoload: bool = True
    """Whether installed plugins are loaded without being named."""
    ignore: tuple[str, ...] = ()
    """Paths of `--ignore` in `addopts`, absolute."""
    ignore_glob: tuple[str, ...] = ()
    """Patterns of `--ignore-glob` in `addopts`, absolute."""
    confcutdir: Path = Path()
    """Conftests above it are not seen; absolute."""
    asyncio_mode: str = "strict"
    fixture_loop_scope: str = ""
    """`asyncio_default_fixture_loop_scope`; empty for the scope of each fixture."""
    anyio_mode: str = "strict"
    beside: tuple[str, ...] = ()
    """Keys of `[tool.pytest]` beside its `ini_options`: pytest 8 passes them over, pytest 9 refuses the file."""

    @classmethod
    def find(cls, start: Path) -> PytestSettings:
        """Return the settings that pytest would run with when it is given this file or directory.

        Raises:
            DeclarationError: a file that pytest would read is broken.
        """
        start = Path(os.path.abspath(start))  # noqa: PTH100 -- as pytest does: links are kept
        start = start if start.is_dir() else start.parent
        upward = (start, *start.parents)
        pyproject: Path | None = None
        for directory in upward:
            for name in CONFIG_NAMES:
                if (file := directory / name).is_file():
                    pyproject = pyproject or (file if name == "pyproject.toml" else None)
                    if (values := _values(file)) is not None:
                        return cls._of(directory, file, values)
        if pyproject is not None:
            return cls._of(pyproject.parent, pyproject, _Values(pyproject, {}))
        root = next((directory for directory in upward if (directory / "setup.py").is_file()), start)
        return cls._of(root, None, _Values(root, {}))

    @classmethod
    def at(cls, directory: Path, names: Iterable[str] = CONFIG_NAMES) -> PytestSettings | None:
        """Return the settings in a directory's own files; None where there are none, or broken ones.

        Args:
            directory: An absolute path.
            names: The names of files in it, where they are known.
        """
        known = frozenset(names)
        for name in CONFIG_NAMES:
            file = directory / name
            if name in known and (name in _DEDICATED or _mentions(file, b"pytest")):
                try:
                    if (values := _values(file)) is not None:
                        return cls._of(directory, file, values)
                except DeclarationError:
                    return None  # probably the data of some test
        return None

    @classmethod
    def _of(cls, root: Path, file: Path | None, values: _Values) -> PytestSettings:
        options = _Options.parse(values.words("addopts"))
        values = values.overridden(options.overrides)
        patterns = {
            key: tuple(values.words(key))
            for key in ("python_files", "python_classes", "python_functions", "norecursedirs")
            if values.has(key)
        }
        return cls(
            root=root,
            file=file,
            testpaths=tuple(values.words("testpaths")),
            suites=_suites(root / "pyproject.toml"),
            pythonpath=tuple(_absolute(root, path) for path in values.words("pythonpath")),
            usefixtures=tuple(values.words("usefixtures")),
            import_mode=options.import_mode,
            plugins=tuple(options.plugins),
            blocked=frozenset(options.blocked),
            is_autoload=options.is_autoload,
            ignore=tuple(str(_absolute(root, path)) for path in options.ignore),
            ignore_glob=tuple(str(_absolute(root, path)) for path in options.ignore_glob),
            confcutdir=_absolute(root, options.confcutdir),
            asyncio_mode=options.modes.get("--asyncio-mode") or values.text("asyncio_mode", "strict"),
            fixture_loop_scope=values.text("asyncio_default_fixture_loop_scope").replace("fixture-scope", ""),
            anyio_mode=options.modes.get("--anyio-mode") or values.text("anyio_mode", "strict"),
            beside=values.beside,
            **patterns,
        )


@dataclass(frozen=True, slots=True)
class _Values:
    """The raw values of one file; in TOML's native table, lists must be lists of strings."""

    file: Path
    raw: Mapping[str, object]
    is_native: bool = False
    beside: tuple[str, ...] = ()

    def has(self, key: str) -> bool:
        return key in self.raw

    def text(self, key: str, default: str = "") -> str:
        return str(self.raw.get(key, default)).strip()

    def words(self, key: str) -> list[str]:
        value = self.raw.get(key, [])
        if isinstance(value, list) and (not self.is_native or all(isinstance(item, str) for item in value)):
            return [str(item) for item in value]
        if self.is_native:
            raise DeclarationError(self.file, f"{key} is a list of strings", line_of(self.file, key))
        try:
            return shlex.split(str(value))
        except ValueError as error:
            raise DeclarationError(self.file, f"{key}: {error}", line_of(self.file, key)) from None

    def overridden(self, overrides: Mapping[str, str]) -> _Values:
        return replace(self, raw={**self.raw, **overrides}) if overrides and not self.is_native else self


def _values(file: Path) -> _Values | None:
    """Return the values of a file; None where it does not configure pytest."""
    if file.suffix == ".toml":
        return _toml_values(file)
    sections = read_ini(file)
    section = sections.get("tool:pytest" if file.suffix == ".cfg" else "pytest")
    if section is None and file.name not in _DEDICATED:
        return None
    return _Values(file, section or {})


def _toml_values(file: Path) -> _Values | None:
    data = read_toml(file)
    if file.name in _DEDICATED:
        return _Values(file, table(data, "pytest"), is_native=True)
    tool = table(data, "tool", "pytest")
    native = {key: value for key, value in tool.items() if key != "ini_options"}
    if ini := table(tool, "ini_options"):
        return _Values(file, ini, beside=tuple(native))
    if native:
        return _Values(file, native, is_native=True)
    return _Values(file, ini) if "ini_options" in tool else None


def _mentions(file: Path, word: bytes) -> bool:
    try:
        with open_regular(file) as stream:
            return word in stream.read(1 << 20)
    except OSError:
        return False


def _suites(pyproject: Path) -> tuple[str, ...]:
    if not _mentions(pyproject, b"envmatrix"):
        return ()
    suites = table(read_toml(pyproject), "tool", "envmatrix").get("suites", ())
    return tuple(str(suite).partition("::")[0] for suite in suites) if isinstance(suites, list) else ()


class _Options:
    """The options of `addopts` that change what is collected, or from where."""

    def __init__(self) -> None:
        self.import_mode: ImportMode = "prepend"
        self.plugins: list[str] = []
        self.blocked: set[str] = set()
        self.is_autoload = True
        self.ignore: list[str] = []
        self.ignore_glob: list[str] = []
        self.confcutdir = ""
        self.overrides: dict[str, str] = {}
        self.modes: dict[str, str] = {}

    @classmethod
    def parse(cls, words: Iterable[str]) -> _Options:
        options = cls()
        rest = iter(words)
        for word in rest:
            option, equals, value = word.partition("=")
            if word == "--disable-plugin-autoload":
                options.is_autoload = False
            elif word.startswith("-p") and word != "-p":
                options._take("-p", word[2:])
            elif word.startswith("-o") and word != "-o":
                options._take("-o", word[2:])
            elif option in _WITH_VALUE:
                options._take(option, value if equals else next(rest, ""))
        return options

    def _take(self, option: str, value: str) -> None:
        match option:
            case "-p" if value.strip().startswith("no:"):
                name = value.strip().removeprefix("no:")
                self.blocked |= set(_names(name))
                if name == "cacheprovider":
                    self.blocked |= set(_names("stepwise"))  # as pytest does
            case "-p":
                self.blocked -= set(_names(value.strip()))
                self.plugins.append(value.strip())
            case "-o" | "--override-ini":
                key, _, new = value.partition("=")
                self.overrides[key] = new
            case "--import-mode" if value in get_args(ImportMode):
                self.import_mode = cast(ImportMode, value)
            case "--ignore":
                self.ignore.append(value)
            case "--ignore-glob":
                self.ignore_glob.append(value)
            case "--confcutdir":
                self.confcutdir = value
            case "--asyncio-mode" | "--anyio-mode":
                self.modes[option] = value


_MODES = ("--asyncio-mode", "--anyio-mode")
_WITH_VALUE = frozenset(
    ["-p", "-o", "--override-ini", "--import-mode", "--ignore", "--ignore-glob", "--confcutdir", *_MODES]
)


def _names(name: str) -> Iterator[str]:
    """Yield both names under which pytest blocks a plugin."""
    yield name
    if not name.startswith("pytest_"):
        yield f"pytest_{name}"


def _absolute(root: Path, path: str) -> Path:
    return Path(os.path.normpath(root / path))
