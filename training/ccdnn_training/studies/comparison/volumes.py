"""The comparison's images as volumes, for viewing and for a reader study.

FOLDER/
  cases.csv                   the input of `ccdnn reader-study`: one row per subject, one column per method
  knee-01/t1.nrrd … stir.nrrd the acquired series on the STIR's grid
  knee-01/cc-dnn.nrrd …       the synthetic ones, in the acquired STIR's intensities
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ccdnn import __version__
from ccdnn.errors import InputError, OutputError
from ccdnn.files import write_volume
from ccdnn.provenance import NOTICE, SYNTHETIC_NAME
from ccdnn.readers.manifest import CASE
from ccdnn.volume import Volume
from ccdnn.writing import replacing_folder
from ccdnn_training.data.cache import CachedSubject, SliceCache
from ccdnn_training.data.manifest import read_source
from ccdnn_training.physics.protocol import CONTRASTS
from ccdnn_training.reporting import Progress, write_rows
from ccdnn_training.studies.comparison.cells import read_prediction, subjects_of
from ccdnn_training.studies.comparison.layout import Cell, Layout

CASES = "cases.csv"


def write_volumes(layout: Layout, source: Path, folder: Path, progress: Progress) -> Path:
    """Write the volumes of every subject that all measured methods have predicted; returns the list of cases.

    A subject with a lesion is predicted by the methods of all folds; the volumes are those of the first.

    Args:
        source: the cohort, from which the subjects' grids are read.

    Raises:
        InputError: no subject has been predicted by all methods.
        OutputError: `folder` exists or cannot be written.
    """
    if folder.exists():
        raise OutputError(f"{folder} exists already; name a new folder for the volumes.")
    cells = layout.measured_cells()
    methods = {cell.name: cell.method.title for cell in cells}
    cases: dict[str, tuple[CachedSubject, dict[str, Cell]]] = {}
    for cell in cells:
        for subject in subjects_of(SliceCache(layout.cache, cell.fold)):
            cases.setdefault(subject.name, (subject, {}))[1].setdefault(cell.name, cell)
    whole = {name: of for name, of in cases.items() if len(of[1]) == len(methods)}
    if not whole:
        raise InputError(f"{layout.folder} has no subject yet that all its methods have predicted; run more folds.")
    stirs = {subject.name: subject.series["stir"] for subject in read_source(source).subjects}
    with progress("volumes of subjects") as on_subject, replacing_folder(folder) as temporary:
        rows = []
        for done, (name, (subject, predicted)) in enumerate(sorted(whole.items()), start=1):
            (temporary / name).mkdir()
            files = _write_subject(subject, predicted, stirs[name].load().ijk_to_ras, temporary / name)
            rows.append({CASE: name, **{column: f"{name}/{file}" for column, file in files.items()}})
            on_subject(done, len(whole))
        columns = [CASE, *CONTRASTS, *methods.values()]
        write_rows(columns, ([row.get(column) for column in columns] for row in rows), temporary / CASES)
    return folder / CASES


def _write_subject(subject: CachedSubject, predicted: Mapping[str, Cell], ijk_to_ras: np.ndarray, folder: Path) -> dict[str, str]:
    """Column of the list of cases → file."""
    files = {}
    for contrast, image in zip(CONTRASTS, np.load(subject.path, allow_pickle=False), strict=True):
        files[contrast] = f"{contrast}.nrrd"
        write_volume(Volume(image.astype(np.float32), ijk_to_ras, name=contrast), folder / files[contrast])
    assert subject.scales is not None and subject.offsets is not None  # a cohort's
    for name, cell in predicted.items():
        title = cell.method.title
        files[title] = f"{name}.nrrd"
        header = {
            "CCDNN_Notice": NOTICE,
            "CCDNN_Image": SYNTHETIC_NAME,
            "CCDNN_Model": f"{title}, fold {cell.fold} of a comparison",
            "CCDNN_Engine": f"ccdnn {__version__}",
        }
        image = read_prediction(cell, subject.name) * np.float32(subject.scales[-1]) + np.float32(subject.offsets[-1])
        write_volume(Volume(image, ijk_to_ras, name=f"{SYNTHETIC_NAME} {title}", metadata=header), folder / files[title])
    return files
