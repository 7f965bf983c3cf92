"""The user's layout, cross-hair and links between views while views of our own are shown, to be put back."""

import slicer

from CCDNNSynthLib.Views.OwnLayouts import isOwnLayout, layoutNode


class UserState:
    """What views of our own change of the user's, as it was before: the layout, the cross-hair, and the links.

    The nodes that hold them are not saved with the scene meanwhile: where this module is not loaded nobody could show the layout.
    """

    _giveWay = None  # of those whose views are shown now; there is one layout

    def __init__(self, giveWay):
        """:param giveWay: called when others are to show their views; everything must be put back then."""
        if UserState._giveWay is not None:
            UserState._giveWay()
        UserState._giveWay = giveWay
        node = layoutNode()
        self._layout = node.SlicerLayoutFourUpView if isOwnLayout(node.GetViewArrangement()) else node.GetViewArrangement()
        # A link that is set in one view the application sets in all.
        self._links = [
            (composite, composite.GetLinkedControl(), composite.GetHotLinkedControl())
            for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        ]
        self._crosshair = slicer.vtkMRMLCrosshairDisplayableManager.FindCrosshairNode(slicer.mrmlScene)
        self._saved = [(changed, changed.GetSaveWithScene()) for changed in (node, self._crosshair) if changed is not None]
        for changed, _saved in self._saved:
            changed.SetSaveWithScene(False)
        if self._crosshair is not None:
            self._shown = (
                self._crosshair.GetCrosshairMode(),
                self._crosshair.GetCrosshairThickness(),
                self._crosshair.GetCrosshairBehavior(),
            )
            # The point under the mouse, with Shift held, is shown in all views, and they jump to its slice.
            self._showCrosshair(self._crosshair.ShowSmallBasic, self._crosshair.Fine, self._crosshair.OffsetJumpSlice)

    def putBack(self, layoutToo: bool) -> None:
        UserState._giveWay = None
        for node, saved in self._saved:
            node.SetSaveWithScene(saved)
        for composite, linked, hotLinked in self._links:
            composite.SetLinkedControl(linked)
            composite.SetHotLinkedControl(hotLinked)
        if self._crosshair is not None:
            self._showCrosshair(*self._shown)
        if layoutToo:
            layoutNode().SetViewArrangement(self._layout)

    def _showCrosshair(self, mode: int, thickness: int, behavior: int) -> None:
        self._crosshair.SetCrosshairMode(mode)
        self._crosshair.SetCrosshairThickness(thickness)
        self._crosshair.SetCrosshairBehavior(behavior)
