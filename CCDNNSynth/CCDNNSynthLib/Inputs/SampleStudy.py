"""The bundled sample study: simulated series of one knee, available offline from the Sample Data module and the panel."""

import hashlib
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ccdnn.series import Role

CATEGORY = "CCDNNSynth"
SAMPLE_NAME = "CCDNNSynthKnee"
SAMPLE_FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "SampleData"
# Role → file and volume name. Detect finds the role from the name, as from a scanner's series description.
VOLUMES = {
    Role.T1: ("t1.nrrd", "Sample knee T1"),
    Role.T2: ("t2.nrrd", "Sample knee T2"),
    Role.GRE: ("gre.nrrd", "Sample knee GRE"),
    Role.STIR: ("stir.nrrd", "Sample knee STIR"),
}


def registerSampleStudy() -> None:
    """Add the study to the Sample Data module, if this application has one."""
    try:
        from SampleData import SampleDataLogic
    except ImportError:
        return
    paths = [SAMPLE_FOLDER / name for name, _title in VOLUMES.values()]
    if not all(path.is_file() for path in paths):
        return
    if hasattr(SampleDataLogic, "registerCustomSampleDataCategory"):  # since Slicer 5.12
        SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("Synthetic STIR"))
    SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE_NAME,
        thumbnailFileName=str(SAMPLE_FOLDER.parent / "Icons" / "SampleKnee.png"),
        uris=[path.as_uri() for path in paths],
        fileNames=[f"CCDNNSynth-{path.name}" for path in paths],
        checksums=[f"SHA256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths],
        nodeNames=[title for _name, title in VOLUMES.values()],
        loadFileTypes=["VolumeFile"] * len(paths),
        loadFiles=[True] * len(paths),
    )


def loadSampleStudy() -> dict:
    """Load the study into the scene; returns role → volume node."""
    nodes = {}
    for role, (fileName, title) in VOLUMES.items():
        nodes[role] = slicer.util.loadVolume(str(SAMPLE_FOLDER / fileName), {"name": title, "show": role is Role.T1})
        _forgetFile(nodes[role])
    return nodes


def _forgetFile(node) -> None:
    """Remove the storage node, so that saving the scene never writes into the installed extension."""
    storage = node.GetStorageNode()
    if storage is not None:
        node.SetAndObserveStorageNodeID(None)
        slicer.mrmlScene.RemoveNode(storage)
