"""Measure many studies in one command against as many single commands, on the machine's CPU.

    python Testing/benchmarks/cohort.py [--studies 40] [--slices 4] [--jobs 2]

The studies are copies of the middle slices of the bundled sample study. Half of the single commands run before the one command and
half after it, so that other load affects both alike. Prints the seconds, the share of the network, and the memory of all processes
of the one command: the largest sum in each quarter of its time, which stays the same if nothing is kept of the studies that are
done. Memory is read from /proc, so only on Linux.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import SimpleITK as sitk
from machine import other_load

SAMPLE = Path(__file__).resolve().parents[2] / "CCDNNSynth" / "Resources" / "SampleData"
# As without PyTorch. With it, every single command would import it and time it against onnxruntime.
SYNTHESIZE = [sys.executable, "-m", "ccdnn", "synthesize", "--quiet", "--device", "cpu", "--precision", "fp32"]
SECONDS_BETWEEN_LOOKS = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--slices", type=int, default=4, help="slices of each study (default: 4)")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    load = other_load()
    with tempfile.TemporaryDirectory() as folder:
        studies = [Path(folder) / "studies" / f"{number:03}" for number in range(options.studies)]
        for study in studies:
            write_study(study, options.slices)
        (Path(folder) / "single").mkdir()
        half = len(studies) // 2
        single = single_commands(studies[:half])
        command = [*SYNTHESIZE, "--each", str(studies[0].parent), "-o", f"{folder}/each", "--jobs", str(options.jobs)]
        together, memory = watched(command)
        single += single_commands(studies[half:])
        with (Path(folder) / "each" / "summary.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    assert all(row["status"] == "done" for row in rows), rows
    quarters = [max(memory[len(memory) * part // 4 : len(memory) * (part + 1) // 4]) for part in range(4)]
    in_studies, in_network = (sum(float(row[name]) for row in rows) for name in ("seconds", "network_seconds"))
    title = f"{len(rows)} studies of {options.slices} slices of 384 × 384, bundled model in float32 by onnxruntime"
    print(f"{title}; {os.cpu_count()} cores, load average {load:.1f} before\n")
    print("| | s | studies per minute |\n|---|---|---|")
    print(f"| {len(rows)} single commands | {single:.0f} | {60 * len(rows) / single:.1f} |")
    print(f"| one command, `--each --jobs {options.jobs}` | {together:.0f} | {60 * len(rows) / together:.1f} |\n")
    print(f"The one command is {single / together:.2f} times as fast.")
    besides = (in_studies - in_network) / len(rows)
    print(
        f"The network took {in_network / in_studies:.0%} of a study's time in it; all else, reading and writing, {besides:.2f} s."
    )
    print(f"Memory of its processes, largest in each quarter of the time: {', '.join(f'{mb:.0f}' for mb in quarters)} MB.")
    return 0


def write_study(folder: Path, slices: int) -> None:
    """The middle slices of the sample study's inputs."""
    folder.mkdir(parents=True)
    for role in ("t1", "t2", "gre"):
        image = sitk.ReadImage(str(SAMPLE / f"{role}.nrrd"))
        first = (image.GetSize()[2] - slices) // 2
        cut = image[:, :, first : first + slices]
        for key in image.GetMetaDataKeys():
            cut.SetMetaData(key, image.GetMetaData(key))
        sitk.WriteImage(cut, str(folder / f"{role}.nrrd"))


def single_commands(studies: list[Path]) -> float:
    """Seconds of one command for each study, one after the other."""
    started = time.perf_counter()
    for study in studies:
        output = study.parents[1] / "single" / f"{study.name}.nrrd"
        subprocess.run([*SYNTHESIZE, str(study), "-o", str(output)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def watched(command: list[str]) -> tuple[float, list[float]]:
    """Seconds of a command, and the memory of it and all its children in MB, every half second."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory = []
    while process.poll() is None:
        memory.append(resident_mb(process.pid))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}.")
    return time.perf_counter() - started, memory


def resident_mb(pid: int) -> float:
    """Of a process and its children."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = {child for task in tasks for child in (task / "children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 + sum(resident_mb(int(child)) for child in children)


if __name__ == "__main__":
    sys.exit(main())
