"""A review: switches from the user's layout to our own views, and restores everything afterwards."""

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ccdnn.errors import InputError
from CCDNNSynthLib.Delay import Delay
from CCDNNSynthLib.Parameters import ReviewLayout
from CCDNNSynthLib.Review import ReviewLayouts, ReviewViews
from CCDNNSynthLib.Review.Comparison import CompareSettings, Comparison
from CCDNNSynthLib.Review.LinkedWindows import LinkedWindows
from CCDNNSynthLib.Review.ReviewViews import ReviewVolumes
from CCDNNSynthLib.Review.UncertaintyOverlay import UncertaintyOverlay
from CCDNNSynthLib.Scene.DifferenceVolume import isDifference, makeDifference, removeDifference, updateDifference
from CCDNNSynthLib.Scene.Result import isSynthetic
from CCDNNSynthLib.Scene.UncertaintyVolume import isUncertainty, placeLikeResult, uncertaintyOf
from CCDNNSynthLib.Views import OwnLayouts, OwnViews
from CCDNNSynthLib.Views.UserState import UserState
from CCDNNSynthLib.Views.ViewLabels import Label, ViewLabels


class Review(VTKObservationMixin):
    """A review is not saved with the scene. It continues when another module is shown.

    views - volume node → name of the slice view that shows it.
    problem - a sentence that says why something is not shown; "" if everything is.
    overlay - the uncertainty over the synthetic volume; None if it is not shown.
    """

    def __init__(self, onChanged, onLeft, onPosition):
        """
        :param onChanged: called when volumes have changed or were removed; call `show` or `close` afterwards.
        :param onLeft: called when the review has ended because the user chose another layout.
        :param onPosition: called with the new position when the user has dragged the swipe line.
        """
        VTKObservationMixin.__init__(self)
        self._onChanged, self._onLeft, self._onPosition = onChanged, onLeft, onPosition
        self.views, self.problem, self.labels, self.comparison = {}, "", {}, None
        self._wanted, self._before, self._windows, self._difference = None, None, None, None
        self._outdated, self._changingLayout = False, False
        self.overlay, self._overlayOpacity = None, None
        # The application sets the size of the views in the next turn of its event loop.
        self._fitSoon = Delay(self._fit)

    @property
    def isOpen(self) -> bool:
        return self._before is not None

    def show(
        self,
        layout: ReviewLayout,
        volumes: ReviewVolumes,
        scaling,
        settings: CompareSettings,
        uncertaintyOpacity: float | None = None,
    ) -> None:
        """Show volumes in a layout; the user's own layout is remembered.

        :param scaling: how both STIRs are scaled for their difference, see `ccdnn.measure.scaling`.
        :param uncertaintyOpacity: of the uncertainty, from 0 to 1; None does not show it.
        """
        if not self.isOpen:
            self._open()
        if self._wanted != (layout, volumes, scaling):
            self._build(layout, volumes, scaling)
        elif self._outdated:
            self._update(volumes, scaling)
        self._outdated = False
        if self.comparison is not None:
            self.comparison.show(settings)
        self._overlayOpacity = uncertaintyOpacity
        self._showOverlay(volumes)

    def close(self, restoreLayout: bool = True) -> None:
        if not self.isOpen:
            return
        self.removeObservers()
        self._clear()
        before, self._before, self._wanted = self._before, None, None
        OwnViews.release(ReviewLayouts.VIEW_LABELS)
        before.putBack(layoutToo=restoreLayout)

    def _open(self) -> None:
        self._before = UserState(self._giveWay)
        scene = slicer.mrmlScene
        self.addObserver(OwnLayouts.layoutNode(), vtk.vtkCommand.ModifiedEvent, self._onLayoutModified)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)

    def _build(self, layout: ReviewLayout, volumes: ReviewVolumes, scaling) -> None:
        self._clear()
        self._wanted = (layout, volumes, scaling)
        for node in volumes.all:
            if node.GetDisplayNode() is None:
                node.CreateDefaultDisplayNodes()
            for event in (node.ImageDataModifiedEvent, node.TransformModifiedEvent):
                self.addObserver(node, event, self._onVolumeModified)
        plot = OwnLayouts.hasPlot(OwnLayouts.layoutNode().GetViewArrangement())
        if layout is ReviewLayout.GRID:
            self._difference = self._makeDifference(volumes, scaling)
        self._changingLayout = True
        try:
            self.views = ReviewViews.show(layout, volumes, self._difference, plot)
        finally:
            self._changingLayout = False
        if volumes.acquired is not None:
            self._windows = LinkedWindows(volumes.acquired, volumes.synthetic)
        self._showLabels(layout, volumes)
        self._fitSoon.start()

    def _clear(self) -> None:
        """Undo `_build`, except for the layout and the content of the views."""
        self._fitSoon.stop()
        self._removeOverlay()
        if self.comparison is not None:
            self.comparison.close()
        for labels in self.labels.values():
            labels.close()
        if self._windows is not None:
            self._windows.close()
        if self._difference is not None:
            removeDifference(self._difference)
        self.removeObservers(self._onVolumeModified)
        self.removeObservers(self._onCompositeModified)
        self.views, self.labels, self.problem = {}, {}, ""
        self.comparison, self._windows, self._difference = None, None, None

    def _update(self, volumes: ReviewVolumes, scaling) -> None:
        """Update after a change of voxels or transforms."""
        if self._windows is not None:
            self._windows.updateRatio()
        if self._difference is not None and slicer.mrmlScene.IsNodePresent(self._difference):
            try:
                updateDifference(self._difference, volumes.acquired, volumes.synthetic, scaling)
                self.problem = ""
            except InputError as error:
                self.problem = str(error)

    def _showOverlay(self, volumes: ReviewVolumes) -> None:
        """Draw the uncertainty over the synthetic volume, as far as it has one and it is wanted."""
        opacity = self._overlayOpacity
        uncertainty = uncertaintyOf(volumes.synthetic) if opacity is not None else None
        if self.overlay is not None and self.overlay.volume is not uncertainty:
            self._removeOverlay()
        if uncertainty is None or opacity is None:
            return
        placeLikeResult(uncertainty, volumes.synthetic)
        name = self.views[volumes.synthetic]
        if self.overlay is None:
            self.overlay = UncertaintyOverlay(name, uncertainty)
            if self.comparison is not None:
                self.comparison.setOverlay(self.overlay)
        # The user may choose another volume in the view's bar.
        composite = slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()
        if volumes.synthetic.GetID() in (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()):
            self.overlay.show(opacity)
        else:
            self.overlay.hide()

    def _removeOverlay(self) -> None:
        if self.comparison is not None:
            self.comparison.setOverlay(None)
        if self.overlay is not None:
            self.overlay.close()
            self.overlay = None

    def _makeDifference(self, volumes: ReviewVolumes, scaling):
        if volumes.acquired is None:
            return None
        try:
            return makeDifference(volumes.acquired, volumes.synthetic, scaling, saved=False)
        except InputError as error:
            self.problem = str(error)
            return None

    def _showLabels(self, layout: ReviewLayout, volumes: ReviewVolumes) -> None:
        if layout is ReviewLayout.SINGLE:
            labels = (self._labelOf(volumes.reference), self._labelOf(volumes.synthetic))
            self.comparison = Comparison(ReviewLayouts.BOTH, *labels, self._onPosition)
            return
        for name in self.views.values():
            composite = slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()
            self.labels[name] = ViewLabels(name)
            self.addObserver(composite, vtk.vtkCommand.ModifiedEvent, self._onCompositeModified)
            self._onCompositeModified(composite, None)

    def _onCompositeModified(self, composite, event) -> None:
        """Update the label, because the user may choose another volume in the view's bar."""
        shown = [slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")]
        if composite.GetForegroundOpacity() > 0:
            shown.append(slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID() or ""))
        self.labels[composite.GetLayoutName()].show(*(self._labelOf(node) for node in shown))
        if self.overlay is not None:
            _layout, volumes, _scaling = self._wanted
            self._showOverlay(volumes)

    def _labelOf(self, node) -> Label:
        _layout, volumes, _scaling = self._wanted
        if node is None:
            return Label("")
        if isDifference(node):
            return Label(_("SYNTHETIC minus ACQUIRED\nblue: less, orange: more"), True)
        if isUncertainty(node):
            return Label(_("UNCERTAINTY\nof the synthetic STIR, ± (95 %)"), True)
        if isSynthetic(node) or node is volumes.synthetic:
            return Label(_("SYNTHETIC STIR\nnot acquired"), True)
        texts = {volumes.acquired: _("ACQUIRED STIR"), volumes.t1: _("T1-w"), volumes.t2: _("T2-w"), volumes.gre: _("GRE")}
        return Label(texts.get(node, node.GetName()))

    def _fit(self) -> None:
        _layout, volumes, _scaling = self._wanted
        OwnViews.fit(set(self.views.values()), volumes.reference)

    def _onLayoutModified(self, caller, event) -> None:
        if not self._changingLayout and not ReviewLayouts.isReviewLayout(caller.GetViewArrangement()):
            self.close(restoreLayout=False)
            self._onLeft()

    def _giveWay(self) -> None:
        """Close, because another section shows its views."""
        self.close()
        self._onLeft()

    def _onVolumeModified(self, caller, event) -> None:
        self._outdated = True
        self._onChanged()

    def _onNodeRemoved(self, caller, event) -> None:
        _layout, volumes, _scaling = self._wanted
        shown = [*volumes.all, *([self.overlay.volume] if self.overlay is not None else [])]
        if not all(slicer.mrmlScene.IsNodePresent(node) for node in shown):
            self._removeOverlay()  # it draws a volume of the scene, which is gone
            self._onChanged()
