"""The servers of this machine that `docs/how-to/kinds.md` declares as commands come up as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from envmatrix.environments import load_environment
from envmatrix.services import kind_of
from envmatrix.services.supervisor import Owner
from tests.framework.services.place import Place

PAGE = Path(__file__).parents[4] / "docs/how-to/kinds.md"


@pytest.fixture
def open_directory() -> Iterator[str]:
    """A directory that any account may use."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)
        yield name


@pytest.mark.parametrize(
    ("kind", "program"),
    [
        ("amqp", "/usr/lib/rabbitmq/bin/rabbitmq-server"),
        ("mysql", "mariadb-install-db"),
        ("postgres", "/usr/share/postgresql/15/extension/pgcrypto.control"),
        ("redis", "redis-server"),
    ],
)
def test_a_server_of_this_machine(place: Place, owner: Owner, open_directory: str, kind: str, program: str) -> None:
    """It starts, and workers get parts of it as of any other."""
    if not (shutil.which(program) or Path(program).exists()):
        pytest.skip(f"{program} is not installed")
    pattern = rf'```toml\n(\[services\.\w+\]\nkind = "{kind}"\nsource = "process"\n.*?)```'
    (text,) = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.DOTALL)
    if kind == "postgres" and os.geteuid() == 0:
        words = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh")
        text = text.replace('"sh"', ", ".join(f'"{word}"' for word in words))
        text = text.replace("{database.state_dir}", open_directory)
    place.declare(text)
    ((name, spec),) = load_environment("local", place.environments, variables={}).services.items()
    state = place.client(owner.run_dir).start([name]).states[name]
    assert state.is_up, (state.reason, state.log_tail)
    with kind_of(spec).isolate(spec, state.endpoint, "gw0") as part:
        assert not part.reset()
