"""The volumes of the current reader study case in the scene: hidden in selectors, not saved, and not named after a method."""

import slicer
from slicer.i18n import tr as _

from ccdnn.errors import InputError
from ccdnn.provenance import NOTICE
from ccdnn.series import Role
from CCDNNSynthLib.Scene.Result import NOTICE_ATTRIBUTE, removeVolume, showValues


class ReaderVolumes:
    """
    case - the ccdnn.readers.study.Case.
    acquired - the volume node of the acquired STIR.
    context - role → volume node of the acquired series, including the STIR.
    images - letter → volume node of a blinded image.
    """

    def __init__(self, case, number: int):
        """Load the files of a case.

        :param number: number of the case, counted from 1.
        Raises InputError, with nothing added to the scene: a file is missing or damaged.
        """
        self.case, self.context, self.images = case, {}, {}
        try:
            for role, path in case.context.items():
                text = _("acquired STIR") if role is Role.STIR else role.label
                self.context[role] = _load(path, _("Case {number}, {series}").format(number=number, series=text))
            for letter, path in case.images.items():
                self.images[letter] = _load(path, _("Case {number}, image {letter}").format(number=number, letter=letter))
                self.images[letter].SetAttribute(NOTICE_ATTRIBUTE, NOTICE)
                self.images[letter].SetDescription(NOTICE)
        except InputError:
            self.remove()
            raise
        self.acquired = self.context[Role.STIR]
        # One window for all: the blinded images are on the scale of the acquired one.
        shown = self.acquired.GetDisplayNode()
        for node in self.images.values():
            node.GetDisplayNode().SetWindowLevel(shown.GetWindow(), shown.GetLevel())

    @property
    def nodes(self) -> list:
        return [*self.context.values(), *self.images.values()]

    @property
    def isWhole(self) -> bool:
        """Whether all of them are still in the scene."""
        return all(slicer.mrmlScene.IsNodePresent(node) for node in self.nodes)

    def remove(self) -> None:
        """Remove them from the scene."""
        for node in self.nodes:
            removeVolume(node)


def _load(path, name: str):
    """Load a file of a study as a volume node. It keeps no storage node, because it must be neither saved nor exported."""
    missing = _("{file} is missing or truncated; ask the coordinator for the study folder again.").format(file=path)
    if not path.is_file():
        raise InputError(missing)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetSingleFile(True)  # t1 and t2 are not slices of one series
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    # Reading needs a scene.
    slicer.mrmlScene.AddNode(node)
    read = storage.ReadData(node)
    image = node.GetImageData()
    # The NIfTI library silently fills a truncated file with zeros.
    if not read or path.stat().st_size < image.GetNumberOfPoints() * image.GetScalarSize():
        removeVolume(node)
        raise InputError(missing)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSaveWithScene(False)
    node.GetDisplayNode().AutoWindowLevelOff()
    showValues(node, slice(None))
    return node
