"""Outputs: whole or not at all, with the permissions they had, never over an input, and nothing left behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ccdnn import writing
from ccdnn.errors import OutputError
from ccdnn.writing import replacing, replacing_folder, require_no_input, write_bytes, write_files, write_text

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions, links or pipes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ------------------------------------------------------------------------------------------------------------ permissions


@POSIX
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_new_files_and_folders_follow_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_text("x", tmp_path / "a")
        write_files(tmp_path / "folder", {"b": b"x"})
        with replacing_folder(tmp_path / "whole") as partial:
            (partial / "c").write_text("x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == mode(tmp_path / "folder" / "b") == 0o666 & ~umask
    assert mode(tmp_path / "whole") == 0o777 & ~umask


@POSIX
@pytest.mark.parametrize("wanted", [0o600, 0o640, 0o664])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, wanted: int) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(wanted)
    write_text("new", path)
    assert mode(path) == wanted
    write_files(tmp_path, {"a": b"newer"})
    assert mode(path) == wanted and path.read_text() == "newer"


@POSIX
def test_a_private_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_text("secret", tmp_path / "key.json", private=True)
    assert mode(tmp_path / "key.json") == 0o600


# ---------------------------------------------------------------------------------------------------------- links and pipes


@POSIX
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "elsewhere" / "real"
    target.parent.mkdir()
    if exists:
        target.write_text("old")
    (tmp_path / "link").symlink_to(target)
    write_text("new", tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["real"]


@POSIX
@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device", "circle", "folder"])
def test_what_is_not_a_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/null")
    elif kind == "link to a device":
        path.symlink_to("/dev/null")
    elif kind == "circle":
        path.symlink_to(path)
    else:
        path.mkdir()
    with pytest.raises(OutputError):
        write_text("new", path)
    with pytest.raises(OutputError):
        writing.require_writable(path)


@pytest.mark.parametrize("name", ["a\0b", "a" * 300, "\ud800"])
def test_names_that_nothing_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError):
        write_text("x", tmp_path / name)


def test_a_long_name_that_is_allowed_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 250 + ".csv")
    write_text("x", path)
    assert path.read_text() == "x"


# --------------------------------------------------------------------------------------------------------- never an input


@POSIX
def test_an_input_is_recognised_under_every_name(tmp_path: Path) -> None:
    path = tmp_path / "t1.nrrd"
    path.write_text("x")
    (tmp_path / "soft.nrrd").symlink_to(path)
    (tmp_path / "hard.nrrd").hardlink_to(path)
    (tmp_path / "folder").mkdir()
    for output in (path, tmp_path / "soft.nrrd", tmp_path / "hard.nrrd", tmp_path / "folder" / ".." / "t1.nrrd"):
        with pytest.raises(OutputError, match=r"is an input of this run \(t1\.nrrd\)"):
            require_no_input([tmp_path / "other.nrrd", output], [path])
    require_no_input([tmp_path / "new.nrrd"], [path, tmp_path / "gone"])


# ------------------------------------------------------------------------------------------------------------ all or none


def test_several_files_are_written_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("old a")
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "c.csv").mkdir()
    with pytest.raises(OutputError):
        write_files(tmp_path, {"a.csv": b"new a", "b.csv": b"new b", "c.csv": b"new c"})
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "mine.txt", "c.csv"}
    assert (tmp_path / "a.csv").read_text() == "old a"

    (tmp_path / "c.csv").rmdir()
    rename, calls = Path.rename, []

    def failing(self: Path, target: Path) -> Path:
        calls.append(target)
        if Path(target).name == "c.csv":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError, match="disk is full"):
        write_files(tmp_path, {"a.csv": b"new a", "b.csv": b"new b", "c.csv": b"new c"})
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "mine.txt"}
    assert (tmp_path / "a.csv").read_text() == "old a"


def test_a_new_folder_vanishes_with_its_failure(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_files(tmp_path / "new", {"a": b"", "\0": b""})
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------------- left behind


@POSIX
def test_leftovers_of_a_killed_process_are_removed_by_the_next_one(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from ccdnn.writing import replacing, replacing_folder\n"
        "folder = Path(sys.argv[1])\n"
        "with replacing(folder / 'a.nrrd') as one, replacing_folder(folder / 'series') as two:\n"
        "    one.write_text('half'); (two / 'half').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".a.txt").write_text("mine")
    write_bytes(b"whole", tmp_path / "a.nrrd")
    with replacing_folder(tmp_path / "series") as partial:
        (partial / "whole").write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.txt", "a.nrrd", "series"]


@POSIX
def test_what_another_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as first:
        first.write_text("first")
        write_text("second", tmp_path / "a")
        assert first.exists()
    assert (tmp_path / "a").read_text() == "first"
