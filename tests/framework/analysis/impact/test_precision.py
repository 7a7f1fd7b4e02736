"""What a change does not reach: each with the nearest change that does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.framework.analysis.impact.small import names, of

SAVE = "def save(): return 1\n"
CHANGE = "return 1", "return 2"


def selected(files: Mapping[str, str], path: str = "shop/store.py") -> set[str]:
    """The tests that a change in a function's body selects."""
    every = {"shop/__init__.py": "", "shop/store.py": SAVE, **files}
    return names(of(path, CHANGE, files=every, places=[])).get("", set())


@pytest.mark.parametrize(
    ("user", "uses"),
    [
        ("def give(store: Store) -> Store: ...", False),
        ("def give():\n    store: Store = None", False),
        ("class Box:\n    store: Store", False),
        ("@dataclass\nclass Box:\n    store: Store", True),
        ("class Box(BaseModel):\n    store: Store", True),
        ("@app.get('/')\ndef give(store: Store): ...", True),
        ("def give(store: Annotated[Store, Depends(Store)]): ...", True),
        ("import typer\ndef give(store: Store): ...\ntyper.run(give)", True),
        ("from typing import get_type_hints\ndef give(store: Store): ...", True),
        ("def give(): return Store()", True),
    ],
)
def test_an_annotation_is_use_where_something_reads_it(user: str, uses: bool) -> None:
    """A decorator, a base class, a package that is known for it, or the project itself."""
    files = {
        "shop/store.py": "class Store:\n    def save(self): return 1\n",
        "shop/user.py": f"from shop.store import Store\n{user}\n",
        "tests/test_user.py": "from shop.user import give, Box\ndef test_user(): give(Box)\n",
        "tests/test_store.py": "from shop.store import Store\ndef test_store(): Store()\n",
    }
    assert selected(files) == ({"test_store", "test_user"} if uses else {"test_store"})


@pytest.mark.parametrize(
    "call",
    [
        'import_module(f"shop.plugins.{name}")',
        'import_module("shop.plugins." + name)',
        'import_module("shop.plugins.{}".format(name))',
        'import_module(f".{name}", "shop.plugins")',
        'import_module(f".{name}", package="shop.plugins")',
    ],
)
def test_a_computed_import_reaches_what_its_name_begins_with(call: str) -> None:
    """Any module of that package, and no other."""
    files = {
        "shop/plugins/__init__.py": "",
        "shop/plugins/one.py": SAVE,
        "shop/load.py": f"from importlib import import_module\ndef load(name): return {call}\n",
        "tests/test_load.py": "from shop.load import load\ndef test_load(): load('one')\n",
        "tests/test_store.py": "from shop.store import save\ndef test_store(): save()\n",
    }
    assert selected(files) == {"test_store"}
    assert selected(files, "shop/plugins/one.py") == {"test_load"}


@pytest.mark.parametrize(
    ("cli", "user", "uses"),
    [
        ("@click.command()\n@click.option('--it')\ndef main(): save()", "cli.LIMIT", False),
        ("@click.command()\ndef main(): save()", "cli.main()", True),
        ("@click.group()\ndef app(): ...\n@app.command()\ndef main(): save()", "cli.LIMIT", False),
        ("@click.group()\ndef app(): ...\n@app.command()\ndef main(): save()", "cli.app()", True),
        ("app = typer.Typer()\n@app.command()\ndef main(): save()", "cli.LIMIT", False),
        ("app = typer.Typer()\n@app.command()\ndef main(): save()", "cli.app()", True),
        ("def main(): save()\nif __name__ == '__main__':\n    main()", "cli.LIMIT", False),
        ("from shop.other import app\n@app.command()\ndef main(): save()", "cli.LIMIT", True),  # run from elsewhere
    ],
)
def test_a_command_is_run_by_who_names_it_or_its_application(cli: str, user: str, uses: bool) -> None:
    """Importing its file runs none."""
    files = {
        "shop/cli.py": f"import click, typer\nfrom shop.store import save\nLIMIT = 1\n{cli}\n",
        "tests/test_cli.py": f"from shop import cli\ndef test_cli(): {user}\n",
        "tests/test_store.py": "from shop.store import save\ndef test_store(): save()\n",
    }
    assert selected(files) == ({"test_store", "test_cli"} if uses else {"test_store"})


@pytest.mark.parametrize(
    ("test", "uses"),
    [
        ("from shop import save\ndef test_it(): save()", True),
        ("import shop\ndef test_it(): shop.save()", True),
        ("import shop.store\ndef test_it(): shop.store.save()", True),
        ("from shop import other\ndef test_it(): other()", False),
        ("import shop\ndef test_it(): shop.other()", False),
        ("import shop\ndef test_it(client): client.save()", False),
        ("from shop import other\ndef test_it(): other().save()", False),
    ],
)
def test_a_name_that_a_package_hands_on_is_followed_alone(test: str, uses: bool) -> None:
    """An attribute of an object is no function of a module that happens to have its name."""
    files = {
        "shop/__init__.py": "from shop.store import save\nfrom shop.rest import other\n",
        "shop/rest.py": "def other(): ...\n",
        "tests/test_it.py": f"{test}\n",
        "tests/test_store.py": "from shop.store import save\ndef test_store(): save()\n",
    }
    assert selected(files) == ({"test_store", "test_it"} if uses else {"test_store"})


def test_what_runs_on_import_is_needed_by_whoever_imports_it() -> None:
    """Although no body of theirs names it."""
    files = {
        "shop/__init__.py": "from shop.store import save\nTABLE = [save()]\n",
        "tests/test_it.py": "import shop.rest\ndef test_it(): ...\n",
        "shop/rest.py": "",
    }
    assert selected(files) == {"test_it"}
