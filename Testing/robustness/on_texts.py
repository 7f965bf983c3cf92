"""Attacks on every text that is parsed. Each must be read or end in an error message."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import damage
from damage import Damage
from trials import refused_or_read

REPORT = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta name="generator" content="ccdnn report 0.1.0">\n'
    '<meta name="files" content="index.html mine.txt">\n</head></html>\n'
)
STUDY = {
    "format": 1,
    "study": "9f1c",
    "regions": [["Cartilage", "MFC"]],
    "cases": [{"case": "case-01", "context": ["stir"], "images": ["A", "B"]}],
}
KEY = {"format": 1, "study": "9f1c", "seed": 1, "cases": {"case-01": {"name": "knee 1", "images": {"A": "x", "B": "y"}}}}
SIDECAR = {"RepetitionTime": 0.6, "EchoTime": 0.012, "SeriesDescription": "sag t1", "ScanningSequence": "SE", "FlipAngle": 150}
CATALOG = {"models": [{"id": "a", "title": "A", "file": "a.safetensors", "sha256": "0" * 64, "default": True}]}
REQUEST = {
    "request": "synthesize",
    "id": 2,
    "inputs": {"t1": {"path": "a.raw", "shape": [2, 4, 4], "dtype": "int16", "name": "t1", "acquisition": {"tr_ms": 600},
               "ijk_to_ras": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], "patient": {"name": "00"}}},
    "reference": "t1", "model": {"id": "small"}, "device": "cpu", "force": False, "slices": [0, 1], "output": "out.raw",
}  # fmt: skip


@dataclass(frozen=True)
class Text:
    """A text of one kind.

    Args:
        file: the name of its file.
        content: the undamaged text.
        use: reads it, given the folder and the file.
        beside: other files that it needs.
    """

    name: str
    file: str
    content: str
    use: Callable[[Path, Path], object]
    beside: tuple[str, ...] = ()
    damages: tuple[Damage, ...] = (*damage.ANYWHERE, *damage.OF_TEXT, *damage.OF_JSON, *damage.OF_JSON)

    def make(self, folder: Path) -> Path:
        path = folder / self.file
        path.write_text(self.content, encoding="utf-8")
        for name in self.beside:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
        return path

    def header(self, content: bytes) -> int:
        return len(content)

    def judge(self, folder: Path, path: Path, changed: bool, how: Damage) -> tuple[str, str]:
        return refused_or_read(lambda: self.use(folder, path))


def _sidecar(folder: Path, path: Path) -> None:
    from ccdnn.sidecar import sidecar_of

    found = sidecar_of(path)
    if not all(warning.isprintable() for warning in (*found.warnings, found.description)):
        raise AssertionError("a warning or a description contains control characters")


def _names(folder: Path, path: Path) -> None:
    from ccdnn.measure.labels import read_names

    read_names(path)


def _catalogue(folder: Path, path: Path) -> None:
    from ccdnn.model.catalog import list_models

    for entry in list_models(folder):
        if entry.path.parent != folder:
            raise AssertionError("a model outside the folder of the catalogue")


def _study(folder: Path, path: Path) -> None:
    from ccdnn.readers.study import open_study

    study = open_study(folder)
    for case in study.cases:
        for file in (*case.context.values(), *case.images.values()):
            if folder not in file.resolve().parents:
                raise AssertionError("a file outside the folder of the study")


def _key(folder: Path, path: Path) -> None:
    from ccdnn.readers.study import read_key

    read_key(path)


def _scores(folder: Path, path: Path) -> None:
    from ccdnn.readers.scores import read_scores

    read_scores(path, "9f1c")


def _manifest(folder: Path, path: Path) -> None:
    from ccdnn.readers.manifest import read_manifest

    read_manifest(path)


def _request(folder: Path, path: Path) -> None:
    from ccdnn.worker.messages import parse_request

    parse_request(path.read_bytes())


def _report(folder: Path, path: Path) -> None:
    """A user's file next to the page must stay, whatever the page states about it (`trials.run` compares)."""
    from ccdnn.measure.table import Column, Table
    from ccdnn.report.content import Report
    from ccdnn.report.write import write_report

    (folder / "mine.txt").write_text("mine")
    try:
        write_report(folder, Report("t", Table("Volumes", (Column("a"),), ()), {}, (), ()))
    finally:
        if (folder / "mine.txt").read_text() != "mine":
            raise AssertionError("a user's file was replaced")


TARGETS = (
    Text("sidecar", "x.json", json.dumps(SIDECAR, indent=1), _sidecar),
    Text("label names", "labels.json", json.dumps({"1": "fat", "2": "muscle"}, indent=1), _names),
    Text("catalogue", "models.json", json.dumps(CATALOG, indent=1), _catalogue),
    Text("reader study", "study.json", json.dumps(STUDY, indent=1), _study, ("case-01/stir.nii", "case-01/A.nii", "case-01/B.nii")),
    Text("key", "key.json", json.dumps(KEY, indent=1), _key),
    Text("scores", "scores.csv", "study,reader,case,image,region,score\n9f1c,reader 1,case-01,A,Cartilage: MFC,4\n", _scores),
    Text("manifest", "cases.csv", "case,stir,X\nknee 1,cases.csv,cases.csv\nknee 2,cases.csv,cases.csv\n", _manifest),
    Text("worker request", "request", json.dumps(REQUEST), _request),
    Text("report page", "index.html", REPORT, _report),
)  # fmt: skip
