"""Writes a result as a DICOM series marked as synthetic, in the study of its source series."""

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ccdnn.errors import InputError
from ccdnn.series import Role
from ccdnn.volume import Volume
from ccdnn.writing import new_folder
from CCDNNSynthLib.Scene.Result import isSynthetic
from CCDNNSynthLib.Scene.SceneVolumes import gridOf, voxelsOf
from CCDNNSynthLib.Scene.UncertaintyVolume import isUncertainty

ROLES = (Role.T1, Role.T2, Role.GRE)


def lastResult():
    """The newest result in the scene, or None."""
    results = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if isResult(node)]
    return results[-1] if results else None


def isResult(node) -> bool:
    """Whether a volume node is a complete result: neither a preview nor still being computed nor its uncertainty."""
    complete = isSynthetic(node) and node.GetSaveWithScene() and node.GetAttribute("CCDNN_Model") is not None
    return complete and not isUncertainty(node)


def exportResult(node, parent, force=False) -> tuple:
    """Write the series of a result into a new folder in `parent`; returns (folder, what was written, whether it has a source).

    The patient, study and frame of reference are those of the source series, if these came from Slicer's DICOM database.
    Otherwise the series gets its own study and an anonymous patient.

    :param force: write it even if its sources are of different patients.
    Raises ccdnn.errors.CcdnnError, and ImportError if this build of Slicer lacks pydicom.
    """
    from ccdnn.dicom.export import export_series

    if not isResult(node):
        raise InputError(_("{volume} is not a synthesis result; choose one as the output.").format(volume=node.GetName()))
    # The stored coordinates, without parent transforms, are the scanner's, as in the source files.
    volume = Volume(
        voxelsOf(node),
        gridOf(node).ijk_to_ras,
        name=node.GetName(),
        metadata={name: node.GetAttribute(name) for name in node.GetAttributeNames() if name.startswith("CCDNN_")},
    )
    sources = [files for role in ROLES if (files := _sourceFiles(node.GetNodeReference(f"CCDNN_{role.value}")))]
    display = node.GetDisplayNode()
    window = (display.GetLevel(), display.GetWindow()) if display is not None and display.GetWindow() > 0 else None
    folder = new_folder(Path(parent), "synthetic-STIR")
    exported = export_series(volume, folder, sources[0] if sources else None, sources[1:], window, force)
    return folder, exported, bool(sources)


def _sourceFiles(node) -> list:
    """The DICOM files of an input; empty if any of them is not in Slicer's DICOM database."""
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split() if node is not None else []
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or database is None:
        return []
    paths = [database.fileForInstance(uid) for uid in uids]
    return [Path(path) for path in paths] if all(paths) else []
