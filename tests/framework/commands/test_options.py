"""Options that commands share."""

from dataclasses import fields

import pytest
import typer

from envmatrix.__main__ import app
from envmatrix.commands.options import RunOptions

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group


@pytest.mark.parametrize("name", ["matrix", "run"])
def test_commands_that_run_the_suite_have_the_same_options(name: str) -> None:
    """Each field of `RunOptions` is an option, with its default and a help."""
    options = {parameter.name: parameter for parameter in COMMANDS[name].params}
    for field in fields(RunOptions):
        assert options[field.name].default == field.default
        assert options[field.name].help


@pytest.mark.parametrize(("options", "name"), [(RunOptions(), "terminal"), (RunOptions(json=True), "json")])
def test_json_is_short_for_a_format(options: RunOptions, name: str) -> None:
    """`--json` wins over `--format`."""
    assert options.format == name
