"""The linked slice views of a reader study: acquired STIR and blinded image above, inputs below. All STIRs share one window."""

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ccdnn.series import Role
from CCDNNSynthLib.Delay import Delay
from CCDNNSynthLib.Readers.ReaderVolumes import ReaderVolumes
from CCDNNSynthLib.Views import OwnLayouts, OwnViews
from CCDNNSynthLib.Views.OwnLayouts import OwnView
from CCDNNSynthLib.Views.UserState import UserState
from CCDNNSynthLib.Views.ViewLabels import Label, ViewLabels

LAYOUT_ID = 20176
_GROUP = 2018
IMAGE = "ReaderImage"
_VIEWS = {
    Role.STIR: OwnView("ReaderAcquired", "A", _GROUP),
    Role.T1: OwnView("ReaderT1", "T1", _GROUP),
    Role.T2: OwnView("ReaderT2", "T2", _GROUP),
    Role.GRE: OwnView("ReaderGRE", "GRE", _GROUP),
}
_IMAGE_VIEW = OwnView(IMAGE, "S", _GROUP, synthetic=True)


class ReaderViews(VTKObservationMixin):
    """The views are not saved with the scene. They stay when another module is shown.

    labels - name of a view → its ViewLabels.
    """

    def __init__(self, onLeft):
        """:param onLeft: called when the views were closed because the user or another section chose another layout."""
        VTKObservationMixin.__init__(self)
        self._onLeft = onLeft
        self.labels = {}
        self._before, self._volumes = None, None
        self._changingLayout, self._following = False, False
        # The application sets the size of the views in the next turn of its event loop.
        self._fitSoon = Delay(self._fit)

    @property
    def isOpen(self) -> bool:
        return self._before is not None

    def show(self, volumes: ReaderVolumes, letter: str) -> None:
        """Show a case with one of its blinded images. The user's own layout is remembered."""
        if not self.isOpen:
            self._before = UserState(self._giveWay)
            self.addObserver(OwnLayouts.layoutNode(), vtk.vtkCommand.ModifiedEvent, self._onLayoutModified)
        if volumes is not self._volumes:
            self._build(volumes)
        image = volumes.images[letter]
        composite = slicer.app.layoutManager().sliceWidget(IMAGE).mrmlSliceCompositeNode()
        if composite.GetBackgroundVolumeID() != image.GetID():
            OwnViews.assign(IMAGE, image)

    def close(self, restoreLayout: bool = True) -> None:
        if not self.isOpen:
            return
        self.removeObservers()
        self._clear()
        before, self._before, self._volumes = self._before, None, None
        OwnViews.release([IMAGE, *(view.name for view in _VIEWS.values())])
        before.putBack(layoutToo=restoreLayout)

    def _build(self, volumes: ReaderVolumes) -> None:
        """Lay out a case and show its middle slice."""
        self._clear()
        self._volumes = volumes
        rows = [[_VIEWS[Role.STIR], _IMAGE_VIEW], [_VIEWS[role] for role in volumes.context if role is not Role.STIR]]
        self._changingLayout = True
        try:
            OwnLayouts.show(LAYOUT_ID, [row for row in rows if row])
        finally:
            self._changingLayout = False
        for role, node in volumes.context.items():
            OwnViews.assign(_VIEWS[role].name, node)
        OwnViews.align(self._names, volumes.acquired, volumes.acquired.GetImageData().GetDimensions()[2] // 2)
        for name in self._names:
            composite = slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()
            self.labels[name] = ViewLabels(name)
            self.addObserver(composite, vtk.vtkCommand.ModifiedEvent, self._onCompositeModified)
            self._onCompositeModified(composite, None)
        for display in self._displays:
            self.addObserver(display, vtk.vtkCommand.ModifiedEvent, self._onDisplayModified)
        self._fitSoon.start()

    def _clear(self) -> None:
        """Undo `_build`, except for the layout and the content of the views."""
        self._fitSoon.stop()
        for labels in self.labels.values():
            labels.close()
        self.labels = {}
        self.removeObservers(self._onCompositeModified)
        self.removeObservers(self._onDisplayModified)

    @property
    def _names(self) -> list:
        return [IMAGE, *(_VIEWS[role].name for role in self._volumes.context)]

    @property
    def _displays(self) -> list:
        """Display nodes of the acquired STIR and of all blinded images."""
        nodes = (self._volumes.acquired, *self._volumes.images.values())
        return [display for node in nodes if (display := node.GetDisplayNode()) is not None]

    def _fit(self) -> None:
        OwnViews.fit(self._names, self._volumes.acquired)

    def _labelOf(self, node) -> Label:
        """Label of the volume that a view shows. The user may choose another volume in the view's bar."""
        if node is None:
            return Label("")
        for letter, image in self._volumes.images.items():
            if node is image:
                return Label(_("SYNTHETIC STIR, image {letter}\nnot acquired").format(letter=letter), True)
        role = next((role for role, shown in self._volumes.context.items() if shown is node), None)
        if role is None:
            return Label(node.GetName())
        return Label(_("ACQUIRED STIR") if role is Role.STIR else role.label)

    def _onCompositeModified(self, composite, event) -> None:
        shown = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
        self.labels[composite.GetLayoutName()].show(self._labelOf(shown))

    def _onDisplayModified(self, caller, event) -> None:
        """Apply the window and level of one STIR to all: they are on one scale."""
        if self._following:
            return
        self._following = True
        for display in self._displays:
            if (display.GetWindow(), display.GetLevel()) != (caller.GetWindow(), caller.GetLevel()):
                display.SetWindowLevel(caller.GetWindow(), caller.GetLevel())
        self._following = False

    def _giveWay(self) -> None:
        """Close, because another section shows its views."""
        self.close()
        self._onLeft()

    def _onLayoutModified(self, caller, event) -> None:
        if not self._changingLayout and caller.GetViewArrangement() != LAYOUT_ID:
            self.close(restoreLayout=False)
            self._onLeft()
