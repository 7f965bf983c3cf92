"""The volumes of one case of a reader study in the scene, while it is read: unseen in lists, unsaved, and named after no method."""

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
    context - role → volume node of the acquired series, the STIR among them.
    images - letter → volume node of a blinded image.
    """

    def __init__(self, case, number: int):
        """Load the files of a case.

        :param number: of the case, counted from 1.
        Raises InputError, with nothing added to the scene: a file is gone or damaged.
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
        # One window for both: the blinded images are on the scale of the acquired one.
        shown = self.acquired.GetDisplayNode()
        for node in self.images.values():
            node.GetDisplayNode().SetWindowLevel(shown.GetWindow(), shown.GetLevel())

    @property
    def nodes(self) -> list:
        return [*self.context.values(), *self.images.values()]

    @property
    def isWhole(self) -> bool:
        """Whether all of them are in the scene still."""
        return all(slicer.mrmlScene.IsNodePresent(node) for node in self.nodes)

    def remove(self) -> None:
        """Take them out of the scene."""
        for node in self.nodes:
            removeVolume(node)


def _load(path, name: str):
    """A volume node of a file of a study. No storage node stays: the voxels are another's, to be neither saved nor exported."""
    missing = _("{file} is missing or cut short; ask the coordinator for the folder of the study again.").format(file=path)
    if not path.is_file():
        raise InputError(missing)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetSingleFile(True)  # t1 and t2 are no slices of one series
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    # Reading needs a scene.
    slicer.mrmlScene.AddNode(node)
    read = storage.ReadData(node)
    image = node.GetImageData()
    # The NIfTI library fills a file that was cut short with zeros and says nothing.
    if not read or path.stat().st_size < image.GetNumberOfPoints() * image.GetScalarSize():
        removeVolume(node)
        raise InputError(missing)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSaveWithScene(False)
    node.GetDisplayNode().AutoWindowLevelOff()
    showValues(node, slice(None))
    return node
