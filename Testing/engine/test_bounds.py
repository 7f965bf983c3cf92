"""Memory and time are bounded before they are spent, whatever a header promises."""

from __future__ import annotations

import cProfile
import gzip
import pstats
import subprocess
import sys
import zlib
from pathlib import Path

import dicom_factory as factory
import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from ccdnn.cli.main import main
from ccdnn.errors import InputError
from ccdnn.study import read_study, read_volume

GEOMETRY = "NDims = 3\nElementType = MET_SHORT\nElementSpacing = 1 1 3\n"
# Runs `ccdnn inspect` and then reads every series; prints the peak memory in MiB and the seconds.
MEASURED = """
import resource, sys, time
from pathlib import Path
import ccdnn.dicom.reader, ccdnn.files
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.monotonic()
from ccdnn.study import read_study
from ccdnn.errors import InputError
try:
    for series in read_study(Path(sys.argv[1])).series:
        series.load()
    print("read", end=" ")
except InputError as error:
    print("refused", end=" ")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024, round(time.monotonic() - started, 1))
"""


def spent(folder: Path) -> tuple[str, int, float]:
    run = subprocess.run([sys.executable, "-c", MEASURED, str(folder)], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr[-800:]
    end, memory, seconds = run.stdout.split()
    return end, int(memory), float(seconds)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak of a process's memory")
@pytest.mark.parametrize(
    "kind",
    [
        "promise",
        "gzip bomb",
        "zlib bomb",
        "long line",
        "sparse raw",
        "sparse DICOM",
        "deflated bomb",
        "huge image",
        "fat DICOM",
        "deep",
    ],
)
def test_what_is_not_there_costs_neither_memory_nor_time(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.mha"
    if kind == "promise":
        path.write_text(f"{GEOMETRY}DimSize = 10000 10000 10000\nElementDataFile = LOCAL\n")
    elif kind == "gzip bomb":
        path = tmp_path / "x.nii.gz"
        path.write_bytes(gzip.compress(bytes(1 << 28), 1))
    elif kind == "zlib bomb":
        header = f"{GEOMETRY}DimSize = 16 16 4\nCompressedData = True\nElementDataFile = LOCAL\n".encode()
        path.write_bytes(header + zlib.compress(bytes(1 << 30), 1))
    elif kind == "long line":
        path.write_bytes(b"NDims = 3\nComment = " + b"a" * (1 << 28))
    elif kind.startswith("sparse"):
        if kind == "sparse raw":
            path.write_bytes(f"{GEOMETRY}DimSize = 16 16 4\nElementDataFile = LOCAL\n".encode())
        else:
            path = tmp_path / "IM0"
            path.write_bytes(bytes(128) + b"DICM")
        with path.open("r+b") as stream:
            stream.truncate(20 << 30)
    elif kind == "deflated bomb":
        (dataset,) = factory.series(1)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.add_new(0x00091010, "OB", bytes(1 << 29))
        dataset.save_as(tmp_path / "IM0", enforce_file_format=True)
    elif kind == "huge image":
        for number, dataset in enumerate(factory.series(3)):
            dataset.compress(RLELossless)
            dataset.Rows = dataset.Columns = 65535
            dataset.save_as(tmp_path / f"IM{number}", enforce_file_format=True)
    elif kind == "fat DICOM":
        for number, path in enumerate(factory.write(factory.series(3), tmp_path)):
            if number == 1:
                with path.open("r+b") as stream:
                    content = stream.read()
                    stream.seek(content.index(b"\xe0\x7f\x10\x00") + 8)
                    stream.write((0xFFFFFFF0).to_bytes(4, "little"))
                    stream.truncate(5 << 30)
    else:
        (dataset,) = factory.series(1)
        for _ in range(900):
            outer = pydicom.Dataset()
            outer.ReferencedSeriesSequence = [dataset if isinstance(dataset, pydicom.FileDataset) is False else pydicom.Dataset()]
            dataset = outer
        (top,) = factory.series(1)
        top.ReferencedSeriesSequence = [dataset]
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))
        top.save_as(tmp_path / "IM0", enforce_file_format=True)
    end, memory, seconds = spent(tmp_path)
    assert memory < 700, f"{kind}: {end}, {memory} MiB"
    assert seconds < 60, f"{kind}: {end}, {seconds} s"
    if kind != "deep":
        assert end == "refused"


def test_one_hostile_file_does_not_cost_the_others(tmp_path: Path) -> None:
    factory.write(factory.series(4), tmp_path)
    (tmp_path / "bad.mha").write_text("NDims = 999999999999\nElementDataFile = %s%n%n\n")
    (tmp_path / "worse.nrrd").write_bytes(b"NRRD0004\n" + b"a: " * 100_000)
    (tmp_path / "worst.nii").write_bytes(b"\x5c\x01\x00\x00" + b"\xff" * 1000)
    study = read_study(tmp_path)
    assert [series.problem for series in study.series] == [None]
    assert {name for name in ("bad.mha", "worse.nrrd", "worst.nii") if any(name in problem for problem in study.problems)} == {
        "bad.mha",
        "worse.nrrd",
        "worst.nii",
    }


@pytest.mark.parametrize(
    "name", ["../x.raw", "/etc/passwd", "sub/x.raw", "..", "%s%s%n", "x%03d.raw 1 4 1", "a\\b.raw", "link.raw"]
)
def test_a_header_reads_no_file_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.raw").write_bytes(bytes(2048))
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "x.raw").write_bytes(bytes(2048))
    (folder / "link.raw").symlink_to(tmp_path / "x.raw")
    (folder / "x.mhd").write_text(f"{GEOMETRY}DimSize = 16 16 4\nElementDataFile = {name}\n")
    nrrd = "NRRD0004\ntype: short\ndimension: 3\nspace: LPS\nsizes: 16 16 4\nendian: little\nencoding: raw\n"
    (folder / "x.nhdr").write_text(f"{nrrd}space directions: (1,0,0) (0,1,0) (0,0,3)\ndata file: {name}\n\n")
    for header in ("x.mhd", "x.nhdr"):
        with pytest.raises(InputError):
            read_volume(folder / header)


def test_lack_of_memory_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import ccdnn.cli.inspect

    def hungry(path: Path) -> None:
        np.empty(1 << 62, np.uint8)

    monkeypatch.setattr(ccdnn.cli.inspect, "read_study", hungry)
    assert main(["inspect", str(tmp_path)]) == 6
    assert "not enough memory" in capsys.readouterr().err


def test_splitting_series_is_linear_in_their_files(tmp_path: Path) -> None:
    """Counted, not timed: comparisons of orientations, which every slice has another of."""
    import ccdnn.dicom.grouping as grouping

    frames = []
    for count in (50, 200):
        folder = tmp_path / str(count)
        datasets = [
            factory.slice_dataset(k, series_uid="1.2.3.5", orientation=(np.cos(k / 99), np.sin(k / 99), 0, 0, 0, -1))
            for k in range(count)
        ]
        factory.write(datasets, folder)
        from ccdnn.dicom.headers import read_frames

        frames.append([frame for path in sorted(folder.iterdir()) for frame in read_frames(path)])
    calls = []

    def counted(frame):
        calls.append(1)
        return frame.orientation

    used = []
    for some in frames:
        calls.clear()
        assert len(grouping._split_near(some, counted, absolute=1e-4)) == len(some)
        used.append(len(calls) / len(some))
    assert used[1] <= used[0] + 1


def _calls_to_read(folder: Path) -> int:
    profile = cProfile.Profile()
    profile.runcall(read_study, folder)
    return pstats.Stats(profile).total_calls


@pytest.mark.parametrize("kind", ["one series", "echo times", "stations", "tilted"])
def test_the_work_of_splitting_grows_with_the_number_of_files(tmp_path: Path, kind: str) -> None:
    """Counted in calls, which do not depend on the machine: twice the files, little more than twice the work."""
    variants = {
        "one series": lambda k: {},
        "echo times": lambda k: {"EchoTime": 10 + k},
        "stations": lambda k: {"position": (-20 + 3 * (k % 20), 10 + 5 * k, 30)},
        "tilted": lambda k: {"orientation": (np.cos(k / 99), np.sin(k / 99), 0, 0, 0, -1)},
    }
    calls = []
    for count in (60, 120):
        slices = [factory.slice_dataset(k, series_uid="1.2.3.5", **variants[kind](k)) for k in range(count)]
        factory.write(slices, tmp_path / str(count))
        calls.append(_calls_to_read(tmp_path / str(count)))
    assert calls[1] < 2.6 * calls[0]
