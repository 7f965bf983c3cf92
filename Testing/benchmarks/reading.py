"""Measure the time to read a valid study, by format: with this checkout, common libraries, and another checkout if given.

    python Testing/benchmarks/reading.py [--against OTHER_CHECKOUT]

Every round times all of them one after another, so that other load affects them equally. The ratios are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).parents[2]
SHAPE = (24, 384, 384)
READERS = ("ccdnn", "libraries", "other")


def write_study(folder: Path) -> None:
    """Write one knee-sized volume, noise on a ramp, in each format with its common library."""
    import nibabel
    import SimpleITK as sitk

    sys.path.insert(0, str(ROOT / "Testing" / "engine"))
    import dicom_factory

    rng = np.random.default_rng(0)
    array = (np.linspace(0, 900, SHAPE[2]) + rng.normal(0, 20, SHAPE)).clip(0).astype(np.int16)
    dicom_factory.write(
        [dicom_factory.slice_dataset(n, series_uid="1.2.3.5", pixels=array[n]) for n in range(SHAPE[0])], folder / "DICOM"
    )
    image = sitk.GetImageFromArray(array)
    for name, file in (("MetaImage", "x.mha"), ("NRRD", "x.nrrd")):
        (folder / name).mkdir()
        sitk.WriteImage(image, folder / name / file, useCompression=True)
    for name, file in (("NIfTI", "x.nii.gz"), ("NIfTI, plain", "x.nii")):
        (folder / name).mkdir()
        nibabel.Nifti1Image(array.T, np.eye(4)).to_filename(folder / name / file)


def read_with_ccdnn(folder: Path) -> None:
    from ccdnn.study import read_study

    for series in read_study(folder).series:
        series.load()


def read_with_libraries(folder: Path) -> None:
    import nibabel
    import pydicom
    import SimpleITK as sitk

    for path in folder.iterdir():
        if folder.name == "DICOM":
            pydicom.dcmread(path).pixel_array.astype(np.float32)
        elif folder.name.startswith("NIfTI"):
            np.asarray(nibabel.load(path).dataobj, np.float32)
        else:
            sitk.GetArrayFromImage(sitk.ReadImage(path)).astype(np.float32)


def timed(reader: str, folder: Path, repeats: int, checkout: Path) -> dict[str, float]:
    """Seconds by format, measured in a separate process with the engine of a checkout."""
    command = [sys.executable, __file__, "--within", reader, str(folder), "--repeats", str(repeats)]
    environment = {**os.environ, "PYTHONPATH": str(checkout / "CCDNNSynth"), "OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def time_within(reader: str, folder: Path, repeats: int) -> dict[str, float]:
    """The fastest of `repeats` readings of each format, after a first one that does the imports."""
    read = read_with_libraries if reader == "libraries" else read_with_ccdnn
    seconds = {}
    for kind in sorted(folder.iterdir()):
        read(kind)
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            read(kind)
            times.append(time.perf_counter() - started)
        seconds[kind.name] = min(times)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=5, help="readings of each format per round; the fastest counts")
    parser.add_argument("--within", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.within:
        print(json.dumps(time_within(chosen.within[0], Path(chosen.within[1]), chosen.repeats)))
        return
    checkouts = {"ccdnn": ROOT, "libraries": ROOT}
    if chosen.against is not None:
        checkouts["other"] = chosen.against.resolve()
    with tempfile.TemporaryDirectory() as folder:
        write_study(Path(folder))
        rounds = [
            {name: timed(name, Path(folder), chosen.repeats, checkout) for name, checkout in checkouts.items()}
            for _ in range(chosen.rounds)
        ]
    others = [name for name in checkouts if name != "ccdnn"]
    print("| format | ccdnn (ms) | " + " | ".join(f"ccdnn / {name}" for name in others) + " |")
    print("| --- |" + " ---: |" * len(checkouts))
    for kind in rounds[0]["ccdnn"]:
        ours = median(one["ccdnn"][kind] for one in rounds)
        ratios = [median(one["ccdnn"][kind] / one[name][kind] for one in rounds) for name in others]
        print(f"| {kind} | {ours * 1e3:.0f} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")


if __name__ == "__main__":
    main()
