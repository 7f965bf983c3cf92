"""Prints how large each package is and which packages import which, at two commits side by side.

python docs/tools/structure.py 716a5bd HEAD
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
# Where packages begin; what is elsewhere is counted by its top folder.
SOURCES = ("CCDNNSynth", "training")


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def files_at(commit: str) -> dict[PurePosixPath, str]:
    """Path → text of every Python and YAML file."""
    names = git("ls-tree", "-r", "--name-only", "-z", commit).split("\0")
    chosen = [PurePosixPath(name) for name in names if name.endswith((".py", ".yaml"))]
    return {path: git("show", f"{commit}:{path}") for path in chosen}


def package_of(path: PurePosixPath) -> str:
    """The dotted package of a file, to two levels: `ccdnn.model`, `ccdnn_training.fitting`; the folder for other files."""
    parts = path.parts[1:] if path.parts[0] in SOURCES else path.parts
    folders = parts[:-1] or (path.parts[0],)
    return ".".join(folders[:2])


def imports_of(text: str) -> Iterator[str]:
    """Modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sizes(files: dict[PurePosixPath, str]) -> dict[str, tuple[int, int, int]]:
    """Package → files, lines, lines of the longest file."""
    found: dict[str, list[int]] = defaultdict(list)
    for path, text in files.items():
        found[package_of(path)].append(text.count("\n"))
    return {package: (len(lines), sum(lines), max(lines)) for package, lines in found.items()}


def graph(files: dict[PurePosixPath, str]) -> dict[str, set[str]]:
    """Package → the packages of this project that it imports."""
    packages = {package_of(path) for path in files if path.suffix == ".py" and path.parts[0] in SOURCES}
    found: dict[str, set[str]] = defaultdict(set)
    for path, text in files.items():
        if path.suffix != ".py" or path.parts[0] not in SOURCES:
            continue
        for module in imports_of(text):
            parts = module.split(".")
            target = next((name for name in (".".join(parts[:2]), parts[0]) if name in packages), None)
            if target and target != package_of(path):
                found[package_of(path)].add(target)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commits", nargs="*", default=["HEAD"], help="one or two commits (default: HEAD)")
    commits = parser.parse_args().commits[:2]
    found = [files_at(commit) for commit in commits]
    tables = [sizes(files) for files in found]
    print("| package |", " | ".join(f"{c}: files | lines | longest" for c in commits), "|")
    print("|---|", "---|" * (3 * len(commits)), sep="")
    for package in sorted(set().union(*tables)):
        cells = [f"{n}" for table in tables for n in table.get(package, ("–",) * 3)]
        print("|", package, "|", " | ".join(cells), "|")
    totals = [(sum(row[0] for row in table.values()), sum(row[1] for row in table.values())) for table in tables]
    print("| **all** |", " | ".join(f"{files} | {lines} | " for files, lines in totals), "|\n")
    for commit, files in zip(commits, found, strict=True):
        edges = graph(files)
        mutual = sorted({tuple(sorted((a, b))) for a, targets in edges.items() for b in targets if a in edges.get(b, ())})
        print(f"{commit}: {sum(map(len, edges.values()))} imports between packages; both ways: {len(mutual)}")
        for package in sorted(edges):
            print(f"  {package} → {', '.join(sorted(edges[package]))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
