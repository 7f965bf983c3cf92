"""The section "Inputs": the chosen volumes, their grids, and warnings about them."""

from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from ccdnn.errors import CcdnnError, InputError
from ccdnn.plausibility import acquisition_warnings, crossing_warning, fat_suppression_warning, missing_warning, swap_warning
from ccdnn.series import Role, plane_of
from ccdnn.volume import Volume
from CCDNNSynthLib import Messages
from CCDNNSynthLib.Inputs.Detection import describe, detect
from CCDNNSynthLib.Inputs.ModelChoices import chosenModel
from CCDNNSynthLib.Inputs.SampleStudy import loadSampleStudy
from CCDNNSynthLib.Panel import Panel
from CCDNNSynthLib.Parameters import VOLUME_OF_ROLE, volumesOf
from CCDNNSynthLib.Scene.SceneVolumes import gridOf, voxelsOf
from CCDNNSynthLib.Scene.UncertaintyVolume import HiddenUncertainties
from CCDNNSynthLib.Scene.Watch import Watch

# Slices compared to distinguish T1-w from T2-w if no header does.
SLICES_COMPARED = 12


@dataclass(frozen=True)
class _Described:
    """A description and the key it was made from; when the key changes, it is made again."""

    key: tuple
    description: object


class InputsPanel(Panel):
    def __init__(self, widget):
        """:param widget: loaded from Inputs.ui."""
        super().__init__(widget)
        self._described, self._swap = {}, ((), None)
        self._watch = Watch(self.refreshSoon)
        self._hidden = HiddenUncertainties(self.ui.t1Selector, self.ui.t2Selector, self.ui.greSelector, self.ui.stirSelector)
        self._lines = {
            Role.T1: self.ui.t1Grid,
            Role.T2: self.ui.t2Grid,
            Role.GRE: self.ui.greGrid,
            Role.STIR: self.ui.stirGrid,
        }
        self.ui.detectButton.clicked.connect(self.onDetect)
        self.ui.sampleLink.linkActivated.connect(self.onSampleLink)
        self._tellDetection(())

    def setParameterNode(self, parameterNode) -> None:
        self._described, self._swap = {}, ((), None)
        self._tellDetection(())
        super().setParameterNode(parameterNode)

    def close(self) -> None:
        self._watch.close()
        self._hidden.close()
        super().close()

    def setEnabled(self, enabled: bool) -> None:
        """Enable the inputs, or disable them during a run."""
        for name in ("t1Selector", "t2Selector", "greSelector", "stirSelector", "detectButton", "sampleLink"):
            getattr(self.ui, name).enabled = enabled

    def acquisitions(self) -> dict:
        """Role → how the chosen volume was acquired, as far as known."""
        return {role: self._description(role, node).acquisition for role, node in self._volumes().items()}

    def patients(self) -> dict:
        """Role → patient of the chosen volume, as far as known."""
        return {role: self._description(role, node).patient for role, node in self._volumes().items()}

    def onDetect(self) -> None:
        nodes = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetHideFromEditors()
        ]
        if not nodes:
            self._tellDetection((_("The scene does not contain a volume; load a study first."),))
            return
        card = self._card()
        detection = detect(nodes, optional=[Role(role) for role in card.optional] if card is not None else ())
        with slicer.util.NodeModify(self._parameterNode):
            for role, member in VOLUME_OF_ROLE.items():
                if role in detection.volumes:
                    setattr(self._parameterNode, member, detection.volumes[role])
        self._tellDetection(detection.sentences)

    def onSampleLink(self, link="") -> None:
        try:
            nodes = loadSampleStudy()
        except RuntimeError as error:
            Messages.show(self.ui.warningLabel, "error", _("The sample study cannot be loaded: {reason}").format(reason=error))
            return
        with slicer.util.NodeModify(self._parameterNode):
            for role, node in nodes.items():
                setattr(self._parameterNode, VOLUME_OF_ROLE[role], node)
        self._tellDetection(())

    def refresh(self) -> None:
        """Update the lines and the warnings."""
        volumes = self._volumes()
        self._watch.watch(*volumes.values())
        for role, line in self._lines.items():
            text = self._line(role, volumes) if role in volumes else ""
            Messages.showPlain(line, text)
            line.visible = bool(text)
        Messages.show(self.ui.warningLabel, "warning", *self._warnings(volumes))

    def _volumes(self) -> dict:
        return volumesOf(self._parameterNode) if self._parameterNode is not None else {}

    def _tellDetection(self, sentences) -> None:
        Messages.show(self.ui.detectLabel, "note", *sentences)

    def _description(self, role, node):
        key = (node.GetID(), node.GetName(), node.GetAttribute("DICOM.instanceUIDs"))
        if role not in self._described or self._described[role].key != key:
            self._described[role] = _Described(key, describe(node))
        return self._described[role].description

    def _line(self, role, volumes) -> str:
        """Describe a volume's grid, whether it will be resampled, and which other role it looks like, if any."""
        node, reference = volumes[role], volumes.get(Role.T1)
        try:
            grid = gridOf(node, reference)
            parts = [f"{grid}, {plane_of(grid.ijk_to_ras)}"]
            if role is Role.T1:
                parts.append(_("the result's grid"))
            elif role is not Role.STIR and reference is not None and not grid.same_as(gridOf(reference)):
                parts.append(_("will be resampled onto {reference}").format(reference=Role.T1.label))
        except InputError as error:
            return str(error)
        description = self._description(role, node)
        if description.role is not role and description.role is not Role.OTHER:
            parts.append(_("looks like {role}: {reason}").format(role=description.role.label, reason=description.reason))
        return "; ".join(parts)

    def _warnings(self, volumes) -> list:
        acquisitions = self.acquisitions()
        warnings: list[str | None] = [
            sentence for role in volumes if (sentence := fat_suppression_warning(acquisitions[role], role))
        ]
        card = self._card() if volumes else None
        if card is not None:
            if all(Role(role) in volumes for role in card.required):
                warnings.append(missing_warning((Role(role) for role in card.optional if Role(role) not in volumes), card))
            warnings += acquisition_warnings(acquisitions, card)
        warnings += self._crossingWarnings(volumes)
        if Role.T1 in volumes and Role.T2 in volumes:
            warnings.append(self._swapWarning(volumes[Role.T1], volumes[Role.T2], acquisitions))
        return warnings

    @staticmethod
    def _crossingWarnings(volumes) -> list:
        reference = volumes.get(Role.T1)
        found = []
        for role, node in volumes.items():
            if reference is None or node is reference or role is Role.STIR:
                continue
            try:
                found.append(crossing_warning(role, node.GetName(), gridOf(node, reference), gridOf(reference)))
            except InputError:  # shown in the volume's line
                continue
        return found

    def _card(self):
        """The card of the chosen model, or None if it cannot be read, which the section below reports."""
        try:
            return chosenModel(self._parameterNode.model).card()
        except CcdnnError:
            return None

    def _swapWarning(self, t1, t2, acquisitions):
        """See `ccdnn.plausibility.swap_warning`; cached until the volumes change, because it may read voxels."""
        key = tuple((node.GetID(), node.GetImageData() and node.GetImageData().GetMTime()) for node in (t1, t2))
        if self._swap[0] != key:
            self._swap = (key, self._compare(t1, t2, acquisitions))
        return self._swap[1]

    @staticmethod
    def _compare(t1, t2, acquisitions):
        try:
            grid = gridOf(t1)
            if not grid.same_as(gridOf(t2, t1)):
                return None
            step = max(1, grid.shape[0] // SLICES_COMPARED)
            first, second = (Volume(voxelsOf(node)[::step], grid.ijk_to_ras, name=node.GetName()) for node in (t1, t2))
            return swap_warning(first, second, acquisitions)
        except InputError:  # shown in the volume's line, or when Apply is pressed
            return None
