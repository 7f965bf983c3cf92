"""Builds an engine report from the scene: volumes, slice pictures, measurements and, if requested, the patient's identity."""

from dataclasses import replace

import slicer
from slicer.i18n import tr as _

from ccdnn import __version__
from ccdnn.acquisition import Acquisition
from ccdnn.measure.profile import profile_values
from ccdnn.report.content import Report, Section
from ccdnn.report.study import Shown, difference_picture, pictures, provenance_entries, trust_section, volumes_table
from ccdnn.series import Role
from ccdnn.volume import Volume
from CCDNNSynthLib.Measure.SimilarityMeasurement import SimilarityChoices
from CCDNNSynthLib.Measure.SimilarityTable import SimilarityTable
from CCDNNSynthLib.Parameters import volumeOf
from CCDNNSynthLib.Scene.DifferenceVolume import differenceOf
from CCDNNSynthLib.Scene.SceneVolumes import gridOf, voxelsOf
from CCDNNSynthLib.Scene.Tables import tableOf
from CCDNNSynthLib.Scene.UncertaintyVolume import shownLimit, uncertaintyOf
from CCDNNSynthLib.Views.Plots import chartOf
from CCDNNSynthLib.Views.SliceViews import sliceInView

# Names of volumes in a report. Node names are not used, because they may contain a patient's name.
ACQUIRED, SYNTHETIC = "acquired STIR", "synthetic STIR"


def volumesOfReport(parameterNode) -> dict:
    """Label → node of each chosen volume, in reading order."""
    chosen = {role.label: volumeOf(parameterNode, role) for role in (Role.T1, Role.T2, Role.GRE)}
    chosen |= {ACQUIRED: parameterNode.stirVolume, SYNTHETIC: parameterNode.syntheticVolume}
    return {label: node for label, node in chosen.items() if node is not None}


def measuredNodes(parameterNode) -> dict:
    """Title of a measurement → its table node and its chart node, either of which may be None."""
    made = {
        _("Contrast-to-noise ratio"): (parameterNode.cnrTable, parameterNode.cnrChart),
        _("Line profiles"): (parameterNode.profileTable, parameterNode.profileChart),
        _("Image similarity"): (parameterNode.similarityTable, parameterNode.similarityChart),
    }
    return {title: nodes for title, nodes in made.items() if any(_isFilled(node) for node in nodes)}


def reportOf(parameterNode, acquisitions, profiles, identified: bool) -> Report:
    """The report on the chosen volumes, as they are shown, and on their measurements, as the sections show them.

    :param acquisitions: role → how that input was acquired.
    :param profiles: the `ccdnn.measure.profile.LineProfiles` behind the plot, or None.
    :param identified: whether it includes the patient's identity and the volumes' names.
    Raises ccdnn.errors.InputError: a volume cannot be read, or the volumes do not overlap.
    """
    nodes = volumesOfReport(parameterNode)
    acquired, synthetic = nodes.get(ACQUIRED), nodes.get(SYNTHETIC)
    reference = acquired or synthetic or next(iter(nodes.values()))
    acquisition = {role.label: found for role, found in acquisitions.items() if role is not Role.STIR}
    acquisition[ACQUIRED] = acquisitions.get(Role.STIR, Acquisition())
    items = [_shown(label, node, reference, acquisition.get(label, Acquisition())) for label, node in nodes.items()]
    index = sliceInView(reference)
    drawn = pictures(items, gridOf(reference), index)
    if acquired is not None and synthetic is not None:
        scaling = parameterNode.similarityScaling
        drawn += (difference_picture(differenceOf(acquired, synthetic, scaling), gridOf(acquired), scaling, index),)
    return Report(
        title=_("Acquired and synthetic STIR"),
        inputs=volumes_table(items, identified),
        provenance=_provenance(synthetic, identified),
        pictures=drawn,
        sections=(*_trust(synthetic, reference, index), *_sections(parameterNode, profiles)),
        identity=_identity(nodes.values()) if identified else None,
    )


def _shown(label: str, node, reference, acquisition: Acquisition) -> Shown:
    display = node.GetDisplayNode()
    window = None
    if display is not None and display.GetWindow() > 0:
        window = (display.GetLevel() - display.GetWindow() / 2, display.GetLevel() + display.GetWindow() / 2)
    volume = Volume(voxelsOf(node), gridOf(node, reference).ijk_to_ras, name=node.GetName())
    return Shown(label, volume, acquisition, window, synthetic=label == SYNTHETIC)


def _trust(synthetic, reference, index: int):
    """The section on where not to trust the synthetic volume, if anything is known of that."""
    if synthetic is None:
        return
    uncertainty = uncertaintyOf(synthetic)
    grid = gridOf(synthetic, reference)
    volume = Volume(voxelsOf(synthetic), grid.ijk_to_ras, metadata=_header(synthetic))
    halfWidths, limit = None, None
    if uncertainty is not None:
        halfWidths = Volume(voxelsOf(uncertainty), grid.ijk_to_ras, metadata=_header(uncertainty))
        limit = shownLimit(uncertainty)
    section = trust_section(volume, halfWidths, gridOf(reference), index, limit)
    if section is not None:
        yield section


def _header(node) -> dict:
    return {name: node.GetAttribute(name) for name in node.GetAttributeNames()}


def _provenance(synthetic, identified: bool) -> dict:
    header = _header(synthetic) if synthetic is not None else {}
    entries = provenance_entries(header, identified) if header else {}
    slicerVersion = f"3D Slicer {slicer.app.majorVersion}.{slicer.app.minorVersion}"
    return {**entries, _("Measured in"): f"{slicerVersion}, ccdnn {__version__}"}


def _sections(parameterNode, profiles) -> tuple:
    sections = []
    for title, (table, chart) in measuredNodes(parameterNode).items():
        tables = [_table(parameterNode, table)] if _isFilled(table) else []
        if profiles is not None and table is parameterNode.profileTable:
            tables.append(profile_values(profiles))
        sections.append(Section(title, tuple(tables), (chartOf(chart),) if _isFilled(chart) else ()))
    return tuple(sections)


def _table(parameterNode, node):
    """The table of a node, with a note if its values may be out of date."""
    live = {parameterNode.cnrTable: parameterNode.cnrLive, parameterNode.profileTable: parameterNode.profileLive}
    if node is parameterNode.similarityTable:
        current = SimilarityTable(node).isOf(SimilarityChoices.of(parameterNode))
        note = "" if current else _("The volumes, the mask or the scaling have changed since this was measured.")
    else:
        note = "" if live[node] else _("Last measured values; later changes are not included.")
    table = tableOf(node)
    return replace(table, notes=(note, *table.notes)) if note else table


def _isFilled(node) -> bool:
    if node is None:
        return False
    return bool(node.GetNumberOfColumns() if node.IsA("vtkMRMLTableNode") else node.GetNumberOfPlotSeriesNodes())


def _identity(nodes) -> dict:
    """Patient and study of the volumes, from the subject hierarchy, which is filled from DICOM."""
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    wanted = {
        _("Patient name"): constants.GetDICOMPatientNameAttributeName(),
        _("Patient ID"): constants.GetDICOMPatientIDAttributeName(),
        _("Birth date"): constants.GetDICOMPatientBirthDateAttributeName(),
        _("Sex"): constants.GetDICOMPatientSexAttributeName(),
        _("Study"): constants.GetDICOMStudyDescriptionAttributeName(),
        _("Study date"): constants.GetDICOMStudyDateAttributeName(),
    }
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    found: dict[str, str] = {}
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        while item and item != hierarchy.GetSceneItemID():
            for title, attribute in wanted.items():
                if hierarchy.GetItemAttribute(item, attribute):
                    found.setdefault(title, hierarchy.GetItemAttribute(item, attribute))
            item = hierarchy.GetItemParent(item)
    identity = {title: found[title] for title in wanted if title in found}
    return identity or {_("Patient"): _("The scene does not identify the patient of these volumes.")}
