"""Finds the role of each volume in the scene from its DICOM headers, its file header, or else its name."""

from dataclasses import dataclass, field
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ccdnn.acquisition import Acquisition
from ccdnn.errors import InputError
from ccdnn.patient import Patient
from ccdnn.roles import Evidence, assign, classify
from ccdnn.series import Role
from ccdnn.sidecar import acquisition_in_header
from CCDNNSynthLib.Scene.Result import isSynthetic
from CCDNNSynthLib.Scene.SceneVolumes import gridOf
from CCDNNSynthLib.Scene.UncertaintyVolume import isUncertainty


@dataclass(frozen=True)
class Description:
    """How a volume was acquired, as far as known, and which role it can have, with the reason in words."""

    acquisition: Acquisition
    role: Role
    reason: str
    study: str = ""
    patient: Patient = field(default_factory=Patient)


@dataclass(frozen=True)
class Detection:
    """The volume chosen for each role, and a sentence for each role that says why it was chosen or why none was."""

    volumes: dict
    sentences: tuple


def describe(node) -> Description:
    """Describe a volume node without reading its voxels."""
    image = node.GetImageData()
    slices = image.GetDimensions()[2] if image is not None else 1
    if isUncertainty(node):
        return Description(Acquisition(), Role.OTHER, _("the uncertainty of a synthetic image"))
    if isSynthetic(node):
        return Description(Acquisition(), Role.OTHER, _("a synthetic image, not an acquired one"))
    frame = _dicomFrame(node)
    if frame is not None:
        evidence = Evidence(frame.acquisition, frame.description or node.GetName(), frame.derivation, frame.modality, slices)
        return Description(frame.acquisition, *classify(evidence), study=frame.study_uid, patient=frame.patient)
    entries = {name: node.GetAttribute(name) for name in node.GetAttributeNames()}
    acquisition = acquisition_in_header(entries)
    patient = Patient.stated(file_name=node.GetName())
    return Description(acquisition, *classify(Evidence(acquisition, node.GetName(), slices=slices)), patient=patient)


def detect(nodes, optional=()) -> Detection:
    """Choose a volume node for each role. If several fit a role, one is chosen only if it alone has the grid of the others.

    :param optional: roles that the model does not require.
    """
    described = {node: describe(node) for node in nodes}
    candidates = {
        role: [node for node in nodes if described[node].role is role] for role in (Role.T1, Role.T2, Role.GRE, Role.STIR)
    }
    chosen = assign(candidates, _sameGrid)
    sentences = [_sentence(role, candidates[role], chosen.get(role), described, role in optional) for role in candidates]
    studies = {described[node].study for role, node in chosen.items() if role is not Role.STIR} - {""}
    if len(studies) > 1:
        sentences.append(_("These volumes come from different examinations; check that they show the same knee and visit."))
    return Detection(chosen, tuple(filter(None, sentences)))


def _sentence(role, candidates, chosen, described, optional) -> str:
    if chosen is not None:
        return _("{role}: {volume} ({reason})").format(role=role.label, volume=chosen.GetName(), reason=described[chosen].reason)
    if candidates:
        names = ", ".join(node.GetName() for node in candidates)
        return _("{role}: {volumes} all fit; choose one.").format(role=role.label, volumes=names)
    if optional:
        return _("{role}: no volume fits; the model does not require one.").format(role=role.label)
    # An acquired STIR is optional, so do not mention it if there is none.
    return "" if role is Role.STIR else _("{role}: no volume fits; choose one.").format(role=role.label)


def _sameGrid(node, other) -> bool:
    try:
        return gridOf(node, other).same_as(gridOf(other))
    except InputError:
        return False


def _dicomFrame(node):
    """The first DICOM frame of a volume that was loaded from Slicer's DICOM database; None if not available."""
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    # Some builds have no DICOM module.
    database = getattr(slicer, "dicomDatabase", None)
    path = database.fileForInstance(uids[0]) if uids and database else ""
    if not path:
        return None
    try:
        from ccdnn.dicom.headers import read_frames

        frames = read_frames(Path(path))
    except (ImportError, InputError, OSError):
        return None
    return frames[0] if frames else None
