"""Make the texts of the files that a project lacks: the declaration, `[tool.envmatrix]`, a job of CI."""

from __future__ import annotations

from pathlib import Path

import tomlkit

from envmatrix.commands.adopt.guess import Found
from envmatrix.environments import Project
from envmatrix.report.text import inert
from envmatrix.safety.input_files import parse_toml, read_text

_GITHUB = """\
# By `envmatrix init`, since the project is on GitHub, or on no other CI.
name: envmatrix
on: [push, pull_request]
permissions:
  contents: read
jobs:
  matrix:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false
      - uses: actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0
        with:
          python-version: "3.12"
      - run: {install}
      - run: envmatrix matrix
"""
_GITLAB = """\
# By `envmatrix init`, since there is a .gitlab-ci.yml.
# Have .gitlab-ci.yml read it: include: [{{local: .gitlab/envmatrix.yml}}]
envmatrix:
  image: python:3.12
  script:
    - {install}
    - envmatrix matrix
"""


def new_texts(project: Project, found: Found) -> dict[Path, str]:
    """Return the text of each file that is to be written; what is there already is left out, or stays in it as it is.

    Raises:
        DeclarationError: pyproject.toml is no TOML.
    """
    root, pyproject = project.root, project.root / "pyproject.toml"
    old = read_text(pyproject) if pyproject.exists() else ""
    settings = parse_toml(pyproject, old)
    install = "pip install 'envmatrix[embedded]'"
    if (root / "requirements.txt").exists():
        install += " -r requirements.txt"
    elif "project" in settings:
        install += " ."
    texts = {project.environments_dir / "local.toml": _declaration(found)}
    has_gitlab = (root / ".gitlab-ci.yml").exists()
    if has_gitlab:
        texts[root / ".gitlab" / "envmatrix.yml"] = _GITLAB.format(install=install)
    if not has_gitlab or (root / ".github").exists():
        texts[root / ".github" / "workflows" / "envmatrix.yml"] = _GITHUB.format(install=install)
    texts = {path: text for path, text in texts.items() if not path.exists()}
    if "envmatrix" not in settings.get("tool", {}):
        between = "\n" if old.endswith("\n") else "\n\n" if old else ""
        texts[pyproject] = f"{old}{between}{_settings(found)}"
        parse_toml(pyproject, texts[pyproject])
    return texts


def _declaration(found: Found) -> str:
    lines = ["# The first declaration, by `envmatrix init`: behind each line, where it is from."]
    lines += [f"# - {inert(note)}" for note in found.notes]
    tables = {f"services.{tomlkit.key(guess.name).as_string()}": guess.keys for guess in found.services}
    for table, keys in (tables | ({"pytest": found.pytest} if found.pytest else {})).items():
        lines += ["", f"[{table}]"]
        for key, (value, origin) in keys.items():  # all are plain words, but for the dot of env.NAME
            lines.append(f"{key} = {tomlkit.item(value).as_string()}  # {inert(origin)}")
    return "".join(f"{line}\n" for line in lines)


def _settings(found: Found) -> str:
    suites = tomlkit.item(list(found.suites)).as_string()
    lines = ["[tool.envmatrix]", 'environments = "environments"  # the directory of declarations']
    lines += [f"suites = {suites}  # where pytest finds tests"] if found.suites else []
    return "".join(f"{line}\n" for line in lines)
