"""A volume that shows the finished slices during a run, in the slice views that showed an input."""

import qt
import slicer
from slicer.i18n import tr as _

from CCDNNSynthLib.Scene.Result import addVolume, removeVolume, showValues
from CCDNNSynthLib.Views.OwnLayouts import RESULT_VIEW, keepsItsVolume

# Redrawing the slice views takes tens of milliseconds, so finished slices are shown together.
REFRESH_MS = 300


class LiveVolume:
    def __init__(self, reference, inputs, readSlice):
        """
        :param reference: volume node whose grid and transform it takes.
        :param inputs: volume nodes. Views whose background is one of them, or empty, show this volume, and so does the view of the
            synthetic volume in a review.
        :param readSlice: returns the (row, column) output of a finished slice.
        """
        self.node = addVolume(reference, _("synthetic STIR (computing)"))
        self.node.SetSaveWithScene(False)
        self._readSlice, self._finished, self._copied = readSlice, set(), set()
        self._before = {}
        inputIDs = {node.GetID() for node in inputs}
        for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            background = view.GetBackgroundVolumeID()
            free = background is None or background in inputIDs or view.GetLayoutName() == RESULT_VIEW
            if free and not keepsItsVolume(view):
                self._before[view.GetID()] = background
                view.SetBackgroundVolumeID(self.node.GetID())
        self._timer = qt.QTimer()
        self._timer.interval = REFRESH_MS
        self._timer.timeout.connect(self._refresh)
        self._timer.start()

    def sliceFinished(self, index: int) -> None:
        self._finished.add(index)

    def complete(self) -> None:
        """Copy the remaining slices. The node is then complete and stays in the scene."""
        self._timer.stop()
        self._finished = set(range(self.node.GetImageData().GetDimensions()[2]))
        self._copy()

    def showInstead(self, node) -> None:
        """Show `node` in the views that show this volume."""
        self._replace({viewID: node.GetID() for viewID in self._before})

    def discard(self) -> None:
        """Remove the volume from the scene and restore the views."""
        self._timer.stop()
        self._replace(self._before)
        removeVolume(self.node)

    def _replace(self, backgrounds) -> None:
        for viewID, background in backgrounds.items():
            view = slicer.mrmlScene.GetNodeByID(viewID)
            # The user may have chosen something else in the meantime.
            if view is not None and view.GetBackgroundVolumeID() == self.node.GetID():
                view.SetBackgroundVolumeID(background)

    def _refresh(self) -> None:
        if self._finished - self._copied:
            self._copy()

    def _copy(self) -> None:
        array = slicer.util.arrayFromVolume(self.node)
        for index in sorted(self._finished - self._copied):
            array[index] = self._readSlice(index)
        self._copied |= self._finished
        showValues(self.node, sorted(self._copied))
        slicer.util.arrayFromVolumeModified(self.node)
