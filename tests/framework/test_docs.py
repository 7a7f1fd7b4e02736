"""The pages are true: the reference is complete, links work, and commands print what a page shows."""

from __future__ import annotations

import enum
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from docs.generate import FILE, FIXTURES, QUERY, _leaves, _members, fixtures_page, query_page, render
from envmatrix.__main__ import app
from envmatrix.analysis.audit.rules.catalog import ALL as AUDIT_RULES
from envmatrix.causes import HARNESS_RULES, RULES
from envmatrix.contracts import FINDING_RULES
from envmatrix.matrix.query_grammar import parse
from envmatrix.runs.outcomes import Cause
from envmatrix.validation import VALIDATION_RULES
from tests.framework.bare import plain_environment
from tests.framework.docs_pages import PAGES, ROOT, anchor, blocks, folded, headings, links

DOCS = ROOT / "docs"
RULE_PAGES = DOCS / "rules"
TITLES = {
    **{rule.code: rule.title for rule in (*RULES, *HARNESS_RULES)},
    **{code: text.partition(":")[0] for code, text in (FINDING_RULES | VALIDATION_RULES).items()},
}
"""Code → title: what stands before the colon of a finding's text."""
CAUSES = {rule.code: rule.cause for rule in (*RULES, *HARNESS_RULES)} | dict.fromkeys(FINDING_RULES, Cause.CONTRACT)
"""Code → cause; what `envmatrix validate` finds has none, since no test failed."""


def envmatrix(command: str, directory: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line of a page in a directory, with our own command on the path."""
    if command.startswith("envmatrix "):
        command = f"{sys.executable} -m envmatrix {command.removeprefix('envmatrix ')}"
    env = plain_environment()  # a page is as wide as a pipe
    env["PYTHONPATH"] = os.pathsep.join(map(str, [ROOT, *paths]))
    return subprocess.run(
        command, shell=True, cwd=directory, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def write_files(page: Path, directory: Path) -> None:
    """Write every block of a page that is titled with a file's name."""
    for block in blocks(page):
        if "." in block.title:
            path = directory / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


def steady(text: str) -> str:
    """Return the output without what differs between machines: line breaks and the number of looks."""
    return folded(re.sub(r" \(\d looks\)", "", text))


def test_the_reference_is_what_the_code_says() -> None:
    """A command, option, marker, fixture, hook, key or code that is not on the page fails here."""
    assert FILE.read_text(encoding="utf-8") == render(), "run: python -m docs.generate"


def test_the_page_of_our_fixtures_is_what_the_source_says() -> None:
    """With its flowchart. Reads all tests of this repository, which takes a second or two."""
    assert FIXTURES.read_text(encoding="utf-8") == fixtures_page(), "run: python -m docs.generate"


def test_the_words_of_a_query_are_those_that_the_code_knows() -> None:
    """A word that is not in the page's table fails here."""
    assert QUERY.read_text(encoding="utf-8") == query_page(), "run: python -m docs.generate"


def test_every_query_of_the_page_is_understood() -> None:
    """Those of its commands, and those of its table of examples."""
    text = QUERY.read_text(encoding="utf-8").partition("## Words")[0]
    examples = re.findall(r"--query '(.*?)'", text) + re.findall(r"^\| `(.*?)` \|", text, re.MULTILINE)
    assert len(examples) > 10
    for example in examples:
        parse(example, ["local", "staging"])


def test_every_row_of_the_reference_says_something() -> None:
    """An option without help or a hook without a docstring would be an empty cell."""
    rows = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if not row.split("|")[-2].strip()] == []


def test_a_member_without_a_text_is_refused() -> None:
    """Who adds an outcome, a cause or a reason without saying what it means cannot make the reference."""

    class Silent(enum.StrEnum):
        SAID = "said"
        """Has a text."""
        UNSAID = "unsaid"

    with pytest.raises(LookupError, match="UNSAID has no docstring"):
        list(_members(Silent))


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    """No rule goes unexplained, and no page is of a rule that is gone."""
    assert sorted(page.name for page in RULE_PAGES.iterdir()) == sorted(
        f"{code}.md" for code in (*TITLES, *(rule.code for rule in AUDIT_RULES))
    )


@pytest.mark.parametrize("code", sorted(TITLES))
def test_a_rules_page_says_what_the_code_says(code: str) -> None:
    """Its title, its cause, how it is decided, an example of its own, what to do; for causes, also what it cannot see."""
    page = RULE_PAGES / f"{code}.md"
    assert headings(page) == [f"{code}: {TITLES[code]}"]
    text = page.read_text(encoding="utf-8")
    for part in ("**How it is decided.**", "**What to do.**"):
        assert part in text
    if code in CAUSES:
        assert f"\n\nCause: `{CAUSES[code]}`" in text
        assert "**What it cannot see.**" in text


@pytest.mark.parametrize("code", sorted(CAUSES))
def test_an_example_shows_the_code_that_it_is_of(code: str) -> None:
    """With its cause where it says one."""
    (example,) = (block.text for block in blocks(RULE_PAGES / f"{code}.md"))
    for line in example.splitlines():
        for cause in Cause:
            if f": {cause} " in line:
                assert f": {cause} {code}: " in line
                assert cause == CAUSES[code]


def test_troubleshooting_leads_to_every_code_once() -> None:
    """From the words that one sees to the page."""
    found = [link for link in links(DOCS / "troubleshooting.md") if link.startswith("rules/")]
    assert sorted(found) == sorted(f"rules/{code}.md" for code in TITLES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link names a file that is there, and a heading of it that is there."""
    for link in links(page):
        if "://" in link:
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if fragment:
            assert fragment in {anchor(heading) for heading in headings(target)}, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_shows_is_there(page: Path) -> None:
    """In a block or in a line, with the options that it is shown with."""
    commands = dict(_leaves(typer.main.get_command(app)))
    text = page.read_text(encoding="utf-8")
    shown = [block.text for block in blocks(page) if block.language == "console"]
    for line in "\n".join([*shown, *re.findall(r"`(envmatrix [^`]*)`", text)]).splitlines():
        for call in re.findall(r"\benvmatrix ([a-z].*?)(?: -- |[;|>&)]|$)", line):
            words = call.split()
            name = next((name for name in (" ".join(words[:2]), words[0]) if name in commands), None)
            assert name, call
            options = {option for parameter in commands[name].params for option in parameter.opts} | {"--help"}
            assert {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)} <= options, call


@pytest.mark.parametrize("page", ["how-to/existing-suite.md", "tutorial.md", "how-to/red-cell.md"])
def test_who_follows_a_page_sees_what_it_shows(page: str, tmp_path: Path) -> None:
    """Each file is written, each command run: exit codes and output are those on the page. Takes a few real runs."""
    if page == "how-to/red-cell.md":  # it begins where the tutorial ends
        write_files(DOCS / "tutorial.md", tmp_path)
        (tmp_path / "tests/conftest.py").unlink()
    output = ""
    for block in blocks(DOCS / page):
        if "." in block.title:
            path = tmp_path / block.title
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            done = envmatrix(block.text.removeprefix("$ "), tmp_path)
            assert done.returncode == int(block.title.removeprefix("exit-")), done.stdout + done.stderr
            output = steady(done.stdout)
        elif block.language == "text":
            for part in block.text.split("…\n"):
                assert steady(part) in output


def test_the_kind_of_the_how_to_works(tmp_path: Path) -> None:
    """The page's driver, found by its entry point, speaks to a server that greets."""
    write_files(DOCS / "how-to/kind.md", tmp_path)
    entry, _, declaration = (block.text for block in blocks(DOCS / "how-to/kind.md") if block.language == "toml")
    info = tmp_path / "banner_kind-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: banner-kind\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry.replace("project.entry-points.", "").replace('"', ""))
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/mine.toml").write_text(declaration)
    (tmp_path / "greeter.py").write_text(
        "import socketserver, sys\n"
        "class Greeter(socketserver.StreamRequestHandler):\n"
        "    def handle(self):\n"
        "        self.wfile.write(b'hello\\n')\n"
        "socketserver.TCPServer(('127.0.0.1', int(sys.argv[1])), Greeter).serve_forever()\n"
    )
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n"
        "@pytest.mark.requires('greeter')\n"
        "def test_it_greets(real_services):\n"
        "    assert real_services.config['services']['greeter']['kind'] == 'banner'\n"
    )
    done = envmatrix("envmatrix run mine", tmp_path, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_contract_of_the_how_to_works(tmp_path: Path) -> None:
    """The page's subclass is what the fixture provides, and its fields are filled in as the page says."""
    write_files(DOCS / "how-to/contract.md", tmp_path)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/mine.toml").write_text('[services.kafka]\nkind = "http"\nsource = "absent"\n')
    (tmp_path / "test_mine.py").write_text(
        "def test_fields(real_services):\n"
        "    fields = (real_services.kafka_available, real_services.kafka_required, real_services.kafka_url)\n"
        "    assert (*fields, real_services.currency) == (False, False, None, 'EUR')\n"
    )
    done = envmatrix("envmatrix run mine", tmp_path, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
