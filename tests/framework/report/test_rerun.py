"""The command that runs one test again."""

import shlex
import shutil
import subprocess

import pytest

from test_framework.masking import MASK
from test_framework.report.rerun import rerun_command, shell_word
from test_framework.report.text import inert
from tests.framework.report.samples import HOSTILE

WORDS = (*HOSTILE, "plain", "it's", "a b", "$HOME `id` $(id) !x", '"', "\\", "-", "é", "\x85\xad\xa0", "\udc80\udcff")


def test_it_names_the_environment_and_exactly_the_test() -> None:
    """Quoted where a shell would read it otherwise."""
    assert rerun_command("local", "tests/a.py::test_x") == "envmatrix run local -- tests/a.py::test_x"
    assert rerun_command("local", "a.py::x[it's $5]") == """envmatrix run local -- 'a.py::x[it'"'"'s $5]'"""


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("word", WORDS, ids=range(len(WORDS)))
def test_a_shell_reads_the_very_same_word(word: str) -> None:
    """And it is inert where it is shown: nothing moves a cursor or commands a CI log."""
    quoted = shell_word(word)
    assert inert(quoted) == quoted
    bash = shutil.which("bash")
    assert bash is not None
    said = subprocess.run([bash, "-c", f"printf %s {quoted}"], capture_output=True, check=True, timeout=10).stdout
    assert said == word.encode(errors="surrogateescape")


def test_a_masked_parameter_is_left_out() -> None:
    """Nobody knows it any more; all parameters of that test are what can be run."""
    assert rerun_command("local", f"a.py::x[{MASK}]") == "envmatrix run local -- a.py::x"


def test_a_masked_name_cannot_be_run() -> None:
    """Rather no command than a wrong one."""
    assert rerun_command("local", f"{MASK}.py::x") == ""


@pytest.mark.parametrize("where", ["", "../venv/lib/python3.11/site-packages/"])
def test_a_test_of_the_conformance_suite_is_named_by_its_module(where: str) -> None:
    """By path, pytest would look for the project's settings above our package."""
    command = rerun_command("local", f"{where}test_framework/tests/test_tokens.py::test_x[a b]")
    assert shlex.split(command)[4:] == ["--pyargs", "test_framework.tests.test_tokens::test_x[a b]"]
