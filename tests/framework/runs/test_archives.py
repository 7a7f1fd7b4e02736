"""Run files in directories, .zip and .tar.gz, friendly and hostile."""

import gzip
import io
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from envmatrix.exceptions import ArchiveError, UsageError
from envmatrix.runs.archives import GatheredFile, Limits, gather

SMALL = Limits(member_bytes=40_000, total_bytes=60_000, members=5, ratio=20, harmless_bytes=40_000)


def content(*paths: Path, limits: Limits = SMALL) -> dict[str, bytes]:
    """What is found, by the name it is shown with."""
    with gather(paths, limits) as found:
        return {file.name: file.path.read_bytes() for file in found}


def refusal(*paths: Path, limits: Limits = SMALL) -> str:
    """Why it is refused, in one line."""
    with pytest.raises(ArchiveError) as caught:
        content(*paths, limits=limits)
    assert "\n" not in str(caught.value)
    return caught.value.message


def zipped(path: Path, members: dict[str, bytes], mode: int = 0o644) -> Path:
    """A zip of members, made with this mode."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def tarred(path: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    """A compressed tar of members, all of one kind."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.type = kind
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            info.linkname = "/etc/passwd"
            archive.addfile(info, io.BytesIO(data))
    return path


PACKERS = [zipped, tarred]
FILES = {"run/local.jsonl": b"1", "run/matrix.json": b"2", "run/local.log": b"3", "run/other.json": b"4"}


@pytest.mark.parametrize("pack", PACKERS)
def test_an_archive_gives_run_files_and_manifests(tmp_path: Path, pack: object) -> None:
    """Logs and whatever else is in it are left alone."""
    path = pack(tmp_path / f"a{'.zip' if pack is zipped else '.tar.gz'}", FILES)  # type: ignore[operator]  # a function
    assert content(path) == {f"{path}!run/local.jsonl": b"1", f"{path}!run/matrix.json": b"2"}


def test_a_directory_is_searched_to_its_ends(tmp_path: Path) -> None:
    """Archives in it included; a link to a directory, as `latest` is one, is not followed."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/local.jsonl").write_bytes(b"1")
    (tmp_path / "a/local.log").write_bytes(b"no")
    zipped(tmp_path / "a/c.zip", {"staging.jsonl": b"2"})
    (tmp_path / "latest").symlink_to("a")
    assert content(tmp_path) == {
        f"{tmp_path}/a/b/local.jsonl": b"1",
        f"{tmp_path}/a/c.zip!staging.jsonl": b"2",
    }


def test_a_file_is_taken_as_it_is_called(tmp_path: Path) -> None:
    """Who names a file means it, whatever its name is."""
    path = tmp_path / "artifact"
    path.write_bytes(b"1")
    assert content(path) == {str(path): b"1"}


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """One line with what to name."""
    with pytest.raises(
        UsageError, match=r"no run file .*/none\. Name run files, directories of them, \.zip or \.tar\.gz"
    ):
        content(tmp_path / "none")


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came out of an archive is gone afterwards, also when another one is refused."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    good = zipped(tmp_path / "good.zip", FILES)
    content(good)
    refusal(good, zipped(tmp_path / "bad.zip", {"../x.jsonl": b""}))
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.fault("zip-slip")
@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize(
    "name", ["../x.jsonl", "/tmp/x.jsonl", "a/../../x.jsonl", "a\\..\\x.jsonl", "c:x.jsonl", "../../harmless.txt"]
)
def test_a_member_that_leads_out_is_refused(tmp_path: Path, pack: object, name: str) -> None:
    """The whole archive is: somebody made it so. Nothing is written anywhere outside."""
    (tmp_path / "in").mkdir()
    path = tmp_path / f"in/a{'.zip' if pack is zipped else '.tar.gz'}"
    pack(path, {"fine.jsonl": b"", name: b""})  # type: ignore[operator]  # a function
    assert refusal(path) == f"{path}: {name!r} leads out of the archive"
    assert list(tmp_path.rglob("*x.jsonl")) == []


@pytest.mark.fault("symlink-shard")
def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    """A run file that is a link would show any file of this machine."""
    path = zipped(tmp_path / "a.zip", {"local.jsonl": b"/etc/passwd"}, mode=0o120777)
    assert refusal(path) == f"{path}: 'local.jsonl' is a link or a device, not a file"
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        path = tarred(tmp_path / "a.tar.gz", {"local.jsonl": b""}, kind)
        assert refusal(path) == f"{path}: 'local.jsonl' is a link or a device, not a file"


@pytest.mark.fault("symlink-shard")
def test_a_link_in_a_directory_is_refused(tmp_path: Path) -> None:
    """An artifact can be downloaded as one; so is a pipe, at which we would wait for ever."""
    (tmp_path / "local.jsonl").symlink_to("/etc/passwd")
    assert refusal(tmp_path) == f"{tmp_path}: 'local.jsonl' is a link or a device, not a file"
    (tmp_path / "local.jsonl").unlink()
    os.mkfifo(tmp_path / "matrix.json")
    assert refusal(tmp_path) == f"{tmp_path}: 'matrix.json' is a link or a device, not a file"


@pytest.mark.fault("zip-bomb")
@pytest.mark.parametrize("pack", PACKERS)
def test_what_grows_too_much_is_refused(tmp_path: Path, pack: object) -> None:
    """By what comes out, not by what the archive says; a tar's skipped members are unpacked too, and count."""
    path = tmp_path / f"a{'.zip' if pack is zipped else '.tar.gz'}"
    bomb = b"\0" * 200_000
    roomy = Limits(member_bytes=1 << 30, total_bytes=1 << 30, members=5, ratio=20, harmless_bytes=40_000)
    pack(path, {"local.jsonl": bomb})  # type: ignore[operator]  # a function
    assert refusal(path, limits=roomy) == f"{path}: 'local.jsonl' grows more than 20-fold when it is unpacked"
    pack(path, {"first.txt": bomb, "local.jsonl": b"1"})  # type: ignore[operator]  # a function
    if pack is zipped:
        assert content(path, limits=roomy) == {f"{path}!local.jsonl": b"1"}
    else:
        assert refusal(path, limits=roomy) == f"{path}: 'first.txt' grows more than 20-fold when it is unpacked"


@pytest.mark.fault("zip-bomb")
@pytest.mark.parametrize("pack", PACKERS)
def test_one_file_all_files_and_their_number_are_capped(tmp_path: Path, pack: object) -> None:
    """Over all archives together: many small ones are one large one."""
    ending = ".zip" if pack is zipped else ".tar.gz"

    def packed(members: dict[str, bytes], name: str = "a") -> Path:
        return pack(tmp_path / f"{name}{ending}", members)  # type: ignore[operator,no-any-return]  # a function

    noise = os.urandom(45_000)
    path = packed({"local.jsonl": noise})
    assert refusal(path) == f"{path}: 'local.jsonl' is larger than 40000 bytes"
    roomy = Limits(total_bytes=60_000, members=5, harmless_bytes=1 << 20)
    path, second = packed({"a.jsonl": noise[:35_000]}), packed({"b.jsonl": noise[:35_000]}, "b")
    assert "makes it more than 60000 bytes altogether" in refusal(path, second, limits=roomy)
    path = packed({f"{number}.jsonl": b"" for number in range(6)})
    assert refusal(path) == f"{path}: '5.jsonl' is one of more than 5 members"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.zip", b"no zip at all"),
        ("a.tar.gz", b"no gzip at all"),
        ("a.tar.gz", gzip.compress(b"no tar at all" * 100)),
        ("a.tar.gz", gzip.compress(b"")[:9]),
    ],
    ids=["no-zip", "no-gzip", "no-tar", "cut"],  # what gzip writes holds the time, and workers must agree on the names
)
def test_a_damaged_archive_is_one_line(tmp_path: Path, name: str, data: bytes) -> None:
    """It names the archive."""
    path = tmp_path / name
    path.write_bytes(data)
    assert refusal(path).startswith(f"{path}: cannot be read: ")


@pytest.mark.parametrize("pack", PACKERS)
def test_an_archive_that_was_cut_off_or_altered_is_refused(tmp_path: Path, pack: object) -> None:
    """Half an upload is no shard, and a flipped bit does not pass."""
    path = tmp_path / f"a{'.zip' if pack is zipped else '.tar.gz'}"
    pack(path, {"local.jsonl": os.urandom(3_000)})  # type: ignore[operator]  # a function
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refusal(path).startswith(f"{path}: cannot be read: ")
    path.write_bytes(whole[:1_500] + bytes([whole[1_500] ^ 1]) + whole[1_501:])
    assert refusal(path).startswith(f"{path}: cannot be read: ")


@pytest.mark.fault("hostile-test-name")
def test_a_hostile_name_is_inert_in_the_error(tmp_path: Path) -> None:
    """What a terminal would obey is escaped, and the name is cut."""
    path = zipped(tmp_path / "a.zip", {"../\x1b[31m\n" + "x" * 5_000: b""})
    said = refusal(path)
    assert r"\x1b[31m\n" in said
    assert len(said) < 400


def test_a_found_file_knows_its_own_name_and_where_it_lies() -> None:
    """In an archive as on disk: a manifest speaks of the runs beside it."""
    found = GatheredFile("out/a.zip!runs/local.shard-1-of-2.jsonl", Path("/scratch/1.jsonl"))
    assert (found.stem, found.place, found.is_manifest) == ("local.shard-1-of-2", "out/a.zip!runs/", False)
    assert (
        GatheredFile("a.zip!matrix.json", Path("x")).place
        == GatheredFile("a.zip!local.jsonl", Path("x")).place
        == "a.zip!"
    )


@pytest.mark.fault("zip-bomb")
@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_without_bounds_is_refused(tmp_path: Path, method: int) -> None:
    """One block of it unpacks to as much memory as its author likes: it is not even begun."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("local.jsonl", b"0" * 30_000)
    tracemalloc.start()
    try:
        assert refusal(path) == f"{path}: 'local.jsonl' is compressed by neither of store and deflate"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.fault("zip-bomb")
def test_a_header_that_grows_is_refused(tmp_path: Path) -> None:
    """The attributes of a member in a tar file are read as a whole: more than a megabyte of them is no run file's."""
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "0" * (30 << 20)}) as archive:
        archive.addfile(tarfile.TarInfo("local.jsonl"))
    limits = Limits(harmless_bytes=1 << 30)
    assert refusal(path, limits=limits) == f"{path}: is followed by a header of more than 1 MiB"


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("name", ["a\x1b[2J.jsonl", "a\nb.jsonl", "a\u202e.jsonl"])
def test_a_name_that_cannot_be_shown_is_refused(tmp_path: Path, pack: object, name: str) -> None:
    """A message that repeats it would act on the terminal or the CI system."""
    path = tmp_path / f"a{'.zip' if pack is zipped else '.tar.gz'}"
    pack(path, {name: b""})  # type: ignore[operator]  # a function
    assert refusal(path) == f"{path}: {name!r} has a name that cannot be shown"
