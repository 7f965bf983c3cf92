"""Measure the way from nothing to the first STIR: download, disk and time, in a fresh environment in a temporary folder.

    python Testing/benchmarks/install.py [--checkout .] [--with "torch==2.13.0"]

Installs the checkout with its extra `pictures` as the README says, without pip's cache, and runs `ccdnn demo`. With `--checkout`
it measures another version of the project, such as the one before onnxruntime, which needs PyTorch:

    mkdir /tmp/before && git archive 716a5bd | tar -x -C /tmp/before
    python Testing/benchmarks/install.py --checkout /tmp/before --with "torch==2.13.0"
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DOWNLOAD = re.compile(r"Downloading (\S+) \(([\d.]+) (kB|MB|GB|bytes)\)")
_LOCAL = re.compile(r"Processing (/\S+\.whl)")  # of a mirror on this machine
_MB = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
NOT_COPIED = (".git", ".venv", "build", "runs", "demo", "*.egg-info", "__pycache__")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", type=Path, default=ROOT, help="the version to install (default: this one)")
    parser.add_argument("--with", dest="more", action="append", default=[], metavar="REQUIREMENT", help="install this with it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, environment = Path(folder) / "source", Path(folder) / "environment"
        shutil.copytree(options.checkout, source, ignore=shutil.ignore_patterns(*NOT_COPIED))
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        python = str(environment / "bin" / "python")
        packages = next((environment / "lib").glob("python*")) / "site-packages"
        before = megabytes(packages)
        started = time.perf_counter()
        pip = [python, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar", "off"]
        said = subprocess.run([*pip, *options.more, f"{source}[pictures]"], check=True, capture_output=True, text=True).stdout
        installed = time.perf_counter()
        demo = [str(environment / "bin" / "ccdnn"), "demo", "-o", f"{folder}/demo"]
        subprocess.run(demo, check=True, capture_output=True)
        done = time.perf_counter()
        files = {Path(name).name: float(size) * _MB[unit] for name, size, unit in _DOWNLOAD.findall(said)}
        files |= {Path(name).name: Path(name).stat().st_size / 1e6 for name in _LOCAL.findall(said)}
        largest = sorted(files, key=lambda name: -files[name])[:3]
        print("| download | on disk | pip install | first STIR after it |\n|---|---|---|---|")
        print(
            f"| {sum(files.values()):.0f} MB | {megabytes(packages) - before:.0f} MB | {installed - started:.0f} s | "
            f"{done - installed:.0f} s |\n"
        )
        print(f"The largest files are {', '.join(f'{name} ({files[name]:.0f} MB)' for name in largest)}.")
    return 0


def megabytes(folder: Path) -> float:
    """The size of all files of a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
