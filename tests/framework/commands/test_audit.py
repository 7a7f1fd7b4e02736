"""`envmatrix audit`, as a user types it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from envmatrix.__main__ import main
from envmatrix.analysis.audit.rules.catalog import ALL
from tests.framework.analysis.trees import write_tree

Call = Callable[..., subprocess.CompletedProcess[str]]

PROVIDER = "import pytest\n@pytest.fixture\ndef served():\n    'Serve.'\n    return {}\n"
FOUND = "tests/e2e/test_there.py:1:14: EM101 fixture 'served' is asked for, and none of that name is in sight\n"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is read of pytest's own plugins, which takes a second."""
    root = write_tree(tmp_path_factory.mktemp("cache"), {"test_a.py": "def test_a(tmp_path): assert tmp_path"})
    with pytest.raises(SystemExit):
        main(["audit", str(root)])
    return root / ".envmatrix"


@pytest.fixture
def story(tmp_path: Path, cache: Path) -> Path:
    """A tree in which a fixture is out of sight of one of two tests."""
    shutil.copytree(cache, tmp_path / cache.name)
    return write_tree(
        tmp_path,
        {
            "pyproject.toml": "",
            "tests/unit/conftest.py": PROVIDER,
            "tests/unit/test_here.py": "def test_one(served): assert served",
            "tests/e2e/test_there.py": "def test_two(served): assert served",
        },
    )


@pytest.fixture
def call(story: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Call the command line in this process, in that tree."""
    monkeypatch.chdir(story)

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        with pytest.raises(SystemExit) as ended:
            main(["audit", *words])
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(words, ended.value.code, *capfd.readouterr())

    return call


def test_a_finding_is_exit_1_and_none_is_exit_0(call: Call, story: Path) -> None:
    """What is found is on standard output, and nothing else; once it is mended, the exit code says so."""
    done = call()
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        f"{FOUND}    1 test: tests/e2e/test_there.py::test_two\n"
        "    help: tests/unit/conftest.py:3 provides it: move it to tests/conftest.py\n"
        "Found 1 finding in 2 tests of 2 files.\n"
    )
    assert call("--exit-zero").returncode == 0
    (story / "tests/unit/conftest.py").rename(story / "tests/conftest.py")
    done = call()
    assert (done.returncode, done.stdout) == (0, "No findings in 2 tests of 2 files.\n")


def test_what_was_chosen_holds(call: Call) -> None:
    """Rules by options, and files: one, or all below a directory."""
    assert call("--per-file-ignores", "tests/e2e/*:EM101", "--ignore", "EM105").returncode == 0
    assert call("tests/unit").returncode == 0
    assert FOUND in call("tests/unit", "tests/e2e/test_there.py").stdout


@pytest.mark.fault("unknown-key")
@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('selct = ["EM1"]', "pyproject.toml:2: unknown key 'selct' in tool.envmatrix.audit. Did you mean 'select'?"),
        (
            'select = ["EM1O1"]',
            "pyproject.toml:2: tool.envmatrix.audit.select: no rule begins with 'EM1O1'. Did you mean 'EM1",
        ),
        (
            'per_file_ignores = { "a" = ["E501"] }',
            "pyproject.toml:2: tool.envmatrix.audit.per_file_ignores.a: no rule begins",
        ),
        ("select = 3", "pyproject.toml:2: tool.envmatrix.audit.select is a list"),
        ("select = [", "pyproject.toml:2: is not TOML"),
    ],
)
def test_a_wrong_key_is_exit_2(call: Call, story: Path, table: str, said: str) -> None:
    """In one line with the file, the line and the nearest spelling."""
    (story / "pyproject.toml").write_text(f"[tool.envmatrix.audit]\n{table}\n")
    done = call()
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--select", "EX1"), "error: --select: no rule begins with 'EX1'. Did you mean 'EM1'?\n"),
        (("--ignore", "all"), "error: --ignore: no rule begins with 'all'. Did you mean 'ALL'?\n"),
        (("--per-file-ignores", "tests"), "error: --per-file-ignores 'tests' has no pattern and codes. Write 'te"),
        (("--per-file-ignores", "a:E501"), "error: --per-file-ignores a: no rule begins with 'E501'."),
        (("--format", "txt"), "error: no format 'txt'. Did you mean 'text'?\n"),
        (("--format", "sarif", "--statistics"), "error: --statistics is for --format text. The JSON format has "),
        (("--baseline", "gone.json"), "error: gone.json: cannot be read: No such file or directory\n"),
        (("--output", "gone/report"), "error: gone/report cannot be written: No such file or directory\n"),
        (("--explain", "EM11"), "error: no rule 'EM11'. Did you mean 'EM112'?\n"),
        (("gone",), "error: no such file or directory: "),
    ],
)
def test_a_wrong_option_is_exit_2(call: Call, words: tuple[str, ...], said: str) -> None:
    """In one line that says what to write instead."""
    done = call(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_a_link_to_the_tree_hides_nothing(call: Call, story: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is below it is found, whatever way leads there."""
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(story)
    assert FOUND in call(str(link)).stdout
    assert FOUND in call(str(link / "tests/e2e")).stdout


def test_nothing_to_audit_is_not_green(call: Call, story: Path) -> None:
    """A directory without a test was named by mistake."""
    (story / "src").mkdir()
    done = call("src")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: nothing to audit: pytest would collect no file of src. Name where the tests are\n"


def test_an_old_tree_starts_green(call: Call, story: Path) -> None:
    """The baseline holds what there is; what is new is told, and what was mended is said to be."""
    made = call("--update-baseline")
    assert (made.returncode, made.stdout) == (0, ".envmatrix-audit.json holds 1 finding; before it was 0\n")
    assert call().stdout == "No findings in 2 tests of 2 files.\n1 known from the baseline.\n"
    (story / "tests/e2e/test_there.py").write_text(
        "\n\ndef test_two(served): assert served\ndef test_new(lost): assert lost\n"
    )
    assert call().stdout.startswith("tests/e2e/test_there.py:4:14: EM101 fixture 'lost' is asked for")
    (story / "tests/e2e/test_there.py").write_text("def test_two(tmp_path): assert tmp_path\n")
    done = call()
    assert done.returncode == 0
    assert "1 entry of the baseline fits nothing any more (--update-baseline takes them out):" in done.stdout
    assert call("tests/unit").stdout == "No findings in 1 test of 1 file.\n"
    assert call("--update-baseline").stdout == ".envmatrix-audit.json holds 0 findings; before it was 1\n"


def test_a_baseline_may_be_elsewhere(call: Call, story: Path) -> None:
    """Named by an option, or by the table."""
    assert call("--baseline", "known.json", "--update-baseline").returncode == 0
    assert call().returncode == 1
    assert call("--baseline", "known.json").returncode == 0
    (story / "pyproject.toml").write_text('[tool.envmatrix.audit]\nbaseline = "known.json"\n')
    assert call().returncode == 0


def test_a_report_may_go_to_a_file(call: Call, story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then standard output stays empty, and no colour is in the file; the exit code is the same."""
    done = call("--format", "json", "--output", "report.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads((story / "report.json").read_text())["counts"] == {"EM101": 1}
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    call("--output", "report.txt")
    assert (story / "report.txt").read_text().startswith(FOUND)


def test_statistics_and_unknown_requests(call: Call, story: Path) -> None:
    """On demand: a number for each rule, and what nobody can tell."""
    assert call("--statistics").stdout.splitlines() == [
        "1  EM101  [*] fixture-not-found",
        "Found 1 finding in 2 tests of 2 files.",
        "[*] --fix mends what it can mend without a doubt.",
    ]
    (story / "tests/unit/test_more.py").write_text("def test_it(request): assert request.getfixturevalue(str(1))\n")
    assert "1 request is unknown (--show-unknown lists them)" in call("tests/unit").stdout
    done = call("tests/unit", "--show-unknown")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "tests/unit/test_more.py:1:30: EM108 the source does not tell whether a fixture is provided"
    )


@pytest.mark.parametrize("code", [rule.code for rule in ALL])
def test_every_rule_explains_itself(call: Call, code: str) -> None:
    """By its page."""
    done = call("--explain", code)
    assert done.returncode == 0
    assert done.stdout.startswith(f"# {code}: ")


@pytest.mark.fault("malicious-conftest")
def test_nothing_of_the_tree_is_run(call: Call, story: Path) -> None:
    """A conftest that would end the process is read like any other."""
    (story / "tests/conftest.py").write_text("import os\nos.abort()\n")
    assert call().returncode == 1


@pytest.mark.fault("hostile-test-name")
def test_a_file_of_any_name_is_audited(call: Call, story: Path) -> None:
    """One that is not UTF-8, and one with a line in it, are named without an effect."""
    for name in (b"test_\x80.py", b"test_\n\x1b[31m::error::.py"):
        Path(f"{story}/tests/unit".encode().decode(), name.decode(errors="surrogateescape")).write_text(
            "def test_a(gone): assert gone\n"
        )
    for format_ in ("text", "json", "sarif", "github", "markdown"):
        done = call("tests/unit", "--format", format_)
        assert done.returncode == 1
        assert done.stdout.replace("\n", "").isprintable()
        assert "\n::error::" not in done.stdout


def test_a_diff_changes_nothing_and_a_fix_does(call: Call, story: Path) -> None:
    """Both show the same change, whatever paths are given; what is only found because of where it stands now does not hold it back."""
    (story / "tests/unit/conftest.py").write_text(PROVIDER.replace("'Serve.'", "..."))
    shown = call("--diff", "tests/e2e", "--select", "ALL,EM301")
    assert (shown.returncode, shown.stderr) == (1, "1 of 1 can be mended: --fix makes these changes.\n")
    assert shown.stdout.startswith("--- /dev/null\n+++ b/tests/conftest.py\n")
    assert not (story / "tests/conftest.py").exists()
    done = call("--fix", "tests/e2e", "--select", "ALL,EM301")
    assert done.stderr == "1 of 1 mended in 2 files; pytest collects the 2 tests around, as before.\n"
    assert done.stdout == shown.stdout.partition(FOUND)[0] + "No findings in 2 tests of 2 files.\n"
    assert call("--select", "EM1").returncode == 0


def test_a_fix_after_which_a_test_is_not_collected_is_taken_back(call: Call, story: Path) -> None:
    """Here a conftest below refuses the one above; every file is as it was, and only `--no-verify` lets it be."""
    refuse = "from pathlib import Path\nassert not Path(__file__).parents[1].joinpath('conftest.py').exists()\n"
    (story / "tests/e2e/conftest.py").write_text(refuse)
    before = (story / "tests/unit/conftest.py").read_text()
    done = call("--fix")
    assert done.returncode == 1
    assert (
        "error: pytest would not collect tests/e2e/test_there.py::test_two any more: nothing was changed" in done.stderr
    )
    assert (story / "tests/unit/conftest.py").read_text() == before
    assert not (story / "tests/conftest.py").exists()
    assert call("--fix", "--no-verify").stderr == "1 of 1 mended in 2 files.\n"


def test_a_test_that_runs_once_for_each_parameter_now_is_not_lost(call: Call, story: Path) -> None:
    """Its node id has a parameter since the fixture was found, beside those that it has of its own."""
    own = "import pytest\n@pytest.mark.parametrize('x', ['a-b', 'c'])\ndef test_one(x, served): assert served\n"
    (story / "tests/e2e/test_own.py").write_text(own)
    (story / "tests/unit/conftest.py").write_text(PROVIDER.replace("fixture", "fixture(params=[1, 2])", 1))
    assert call("--fix").stderr.endswith("2 of 2 mended in 2 files; pytest collects the 5 tests around, as before.\n")


def test_a_fix_that_leads_to_another_finding_elsewhere_is_taken_back(call: Call, story: Path) -> None:
    """Also to one of a rule that was not asked for: the moved fixture is too narrow for who asks for it."""
    asker = "import pytest\n@pytest.fixture(scope='session')\ndef all_of(served): return served\n"
    (story / "tests/e2e/conftest.py").write_text(asker)
    (story / "tests/e2e/test_there.py").write_text("def test_two(all_of): assert all_of")
    done = call("--fix", "--select", "EM101")
    assert done.returncode == 1
    assert "error: the changes would lead to EM102 fixture 'all_of' of scope session asks for 'served'" in done.stderr
    assert not (story / "tests/conftest.py").exists()


def test_nothing_can_be_verified_without_pytest(call: Call, story: Path) -> None:
    """An interpreter that has none is refused where verifying was asked for, and nothing is changed."""
    bare = story / "bare/bin/python"
    bare.parent.mkdir(parents=True)
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    (story / "bare/lib/python3.11/site-packages/_pytest").mkdir(parents=True)
    done = call("--fix", "--verify", "--python", str(story / "bare"))
    assert (done.returncode, done.stdout.count("conftest.py")) == (2, 0)
    assert done.stderr.startswith("error: --verify needs pytest, and ")


def test_a_programs_report_is_alone_on_standard_output(call: Call) -> None:
    """The change is on standard error then, and stays there unless the report goes to a file."""
    done = call("--diff", "--format", "json")
    assert json.loads(done.stdout)["counts"] == {"EM101": 1}
    assert "+++ b/tests/conftest.py" in done.stderr
    assert "+++ b/tests/conftest.py" in call("--diff", "--format", "json", "--output", "report.json").stdout


@pytest.mark.fault("hostile-test-name")
def test_a_shown_change_is_inert(call: Call, story: Path) -> None:
    """A line of source may hold what a terminal or a CI log would obey; tabs and line ends are left."""
    hostile = PROVIDER.replace("return {}", 'return "\x1b]0;x\x07\t::error::y"').replace("\n", "\r\n")
    (story / "tests/unit/conftest.py").write_bytes(hostile.encode())
    shown = call("--diff").stdout
    assert '-    return "\\x1b]0;x\\x07\t:\\x3aerror::y"' in shown
    assert "\x1b" not in shown


def test_why_nothing_is_mended_is_said_where_the_finding_does_not(call: Call, story: Path) -> None:
    """A finding that nobody could mend has its help, once."""
    (story / "tests/e2e/test_other.py").write_text("def test_other(nowhere): assert nowhere")
    (story / "tests/unit/conftest.py").write_text(PROVIDER.replace("{}", "__file__"))
    assert call("--diff").stderr == (
        "tests/e2e/test_there.py:1:14: EM101 is not mended: it uses __file__, which may be something else outside of "
        "tests/unit/conftest.py: move it by hand\nNothing that was found can be mended by itself.\n"
    )
