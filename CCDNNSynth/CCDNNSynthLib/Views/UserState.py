"""Saves the user's layout, crosshair and view links while our own views are shown, and restores them."""

import slicer

from CCDNNSynthLib.Views.OwnLayouts import isOwnLayout, layoutNode


class UserState:
    """The user's layout, crosshair and view links, as they were before our own views changed them.

    Meanwhile, the nodes with these settings are not saved with the scene: without this module, Slicer could not show the layout.
    """

    _giveWay = None  # callback of the section whose views are shown; there is only one layout

    def __init__(self, giveWay):
        """:param giveWay: called before another section shows its views; it must restore everything."""
        if UserState._giveWay is not None:
            UserState._giveWay()
        UserState._giveWay = giveWay
        node = layoutNode()
        self._layout = node.SlicerLayoutFourUpView if isOwnLayout(node.GetViewArrangement()) else node.GetViewArrangement()
        # When a link is set in one view, the application sets it in all.
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
            # With Shift held, the point under the mouse is shown in all views, which jump to its slice.
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
