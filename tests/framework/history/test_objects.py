"""Places of objects: a real S3 server of somebody else's, over HTTP. `test_parquet` is about directories."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from envmatrix.exceptions import HistoryError
from envmatrix.history.objects import place_of
from envmatrix.history.parquet import ParquetHistory, export
from envmatrix.history.rows import rows_of
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Outcome
from tests.framework.run_files import write_run


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server with one bucket. It takes two seconds to start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url, end = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            try:
                httpx.put(f"{url}/bucket").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a directory in the bucket, which the environment has credentials for."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "hunter2-canary",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{os.urandom(4).hex()}"


def test_a_bucket_is_written_once_and_asked_like_a_directory(bucket: str, tmp_path: Path) -> None:
    """Objects are fetched once; a pattern chooses some; two pipelines that bring one run disturb nobody."""
    kept = []
    for environment in ("local", "staging"):
        path = tmp_path / f"{environment}.jsonl"
        kept.append(rows_of(write_run(path, Attempt("a", Outcome.PASSED, 1.0), environment=environment)))
    place = place_of(bucket, tmp_path / "kept")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: export([each], place), kept * 2))
    assert export(kept, place) == 0
    assert list(place.names()) == [
        "date=2026-01-02/environment=local/run-of-local.parquet",
        "date=2026-01-02/environment=staging/run-of-staging.parquet",
    ]
    with ParquetHistory(place, bucket) as past:
        assert past.environments == ("local", "staging")
        assert len(past.cells("a")) == 2
    fetched = {path: path.stat().st_mtime_ns for path in place.files()}
    assert {path: path.stat().st_mtime_ns for path in place.files()} == fetched
    assert {path.parent for path in fetched} == {tmp_path / "kept"}
    for pattern in ("/date=2026-01-*/environment=staging/*", "/**/*staging.parquet"):
        with ParquetHistory(place_of(bucket + pattern, tmp_path / "kept"), bucket) as past:
            assert past.environments == ("staging",)


@pytest.mark.fault("name-as-path")
def test_the_name_of_an_object_is_no_path(bucket: str, server: str, tmp_path: Path) -> None:
    """Whoever may write to the bucket writes nowhere else."""
    name = f"{bucket.removeprefix('s3://bucket/')}/a%2F..%2F..%2F..%2Fup.parquet"
    httpx.put(f"{server}/bucket/{name}", content=b"PAR1").raise_for_status()
    with pytest.raises(HistoryError, match="invalid path"):
        place_of(bucket, tmp_path / "kept").files()
    assert not (tmp_path / "up.parquet").exists()


@pytest.mark.fault("canary-secret")
@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """Without the credentials that it was asked with."""
    for ask in ("names", "files"):
        with pytest.raises(HistoryError) as error:
            getattr(place_of("s3://gone/runs", tmp_path), ask)()
        assert error.value.message.startswith("history s3://gone/runs cannot be used: ")
        assert "\n" not in error.value.message
        assert "hunter2" not in error.value.message


@pytest.mark.usefixtures("bucket")
def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As is a URL that nothing speaks to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(HistoryError, match="cannot be used: "):
        place_of("s3://bucket/runs", tmp_path).names()
    with pytest.raises(HistoryError, match="cannot be used: "):
        place_of("ftp://host/runs", tmp_path)
