"""The section "Review": acquired and synthetic STIR side by side, with all volumes, or in one view."""

from slicer.i18n import tr as _

from CCDNNSynthLib import Messages
from CCDNNSynthLib.Panel import Panel
from CCDNNSynthLib.Parameters import CompareMode, ReviewLayout
from CCDNNSynthLib.Review.Comparison import CompareSettings
from CCDNNSynthLib.Review.Review import Review
from CCDNNSynthLib.Review.ReviewViews import ReviewVolumes
from CCDNNSynthLib.Scene.UncertaintyVolume import HiddenUncertainties, uncertaintyOf
from CCDNNSynthLib.Views.OwnLayouts import layoutNode


class ReviewPanel(Panel):
    def __init__(self, widget):
        """:param widget: loaded from Review.ui."""
        super().__init__(widget)
        self.review = Review(self.refreshSoon, self._onLeft, self._onPosition)
        self._hidden = HiddenUncertainties(self.ui.syntheticSelector)
        self._buttons = {
            ReviewLayout.SIDE_BY_SIDE: self.ui.sideBySideButton,
            ReviewLayout.GRID: self.ui.gridButton,
            ReviewLayout.SINGLE: self.ui.singleButton,
        }
        for layout, button in self._buttons.items():
            button.clicked.connect(lambda _checked=False, layout=layout: self._choose(layout))
        self.ui.leaveButton.clicked.connect(lambda: self._choose(ReviewLayout.NONE))
        self.refresh()

    def close(self) -> None:
        super().close()
        self._hidden.close()
        self.review.close()

    def refresh(self) -> None:
        """Open, change or leave the review according to the parameter node."""
        node = self._parameterNode
        volumes = ReviewVolumes.of(node) if node is not None else None
        possible = volumes is not None and volumes.synthetic is not None and layoutNode() is not None
        layout = node.reviewLayout if possible else ReviewLayout.NONE
        if node is not None and node.reviewLayout is not layout:
            node.reviewLayout = layout
        if layout is ReviewLayout.NONE:
            self.review.close()
        else:
            opacity = node.uncertaintyOpacity if node.uncertaintyShown else None
            self.review.show(layout, volumes, node.similarityScaling, CompareSettings.of(node), opacity)
        self._showState(layout, possible, volumes)

    def _choose(self, layout: ReviewLayout) -> None:
        self._parameterNode.reviewLayout = layout
        self.refresh()

    def _onLeft(self) -> None:
        """Called when the user chose another layout in the application."""
        if self._parameterNode is not None:
            self._parameterNode.reviewLayout = ReviewLayout.NONE
        self.refreshSoon()

    def _onPosition(self, position: float) -> None:
        """Called when the swipe line was dragged."""
        self._parameterNode.comparePosition = position

    def _showState(self, layout: ReviewLayout, possible: bool, volumes) -> None:
        for choice, button in self._buttons.items():
            button.enabled = possible
            button.checked = choice is layout
        self.ui.leaveButton.enabled = layout is not ReviewLayout.NONE
        known = layout is not ReviewLayout.NONE and uncertaintyOf(volumes.synthetic) is not None
        self.ui.uncertaintyBox.enabled = known
        self.ui.uncertaintySlider.enabled = known and self._parameterNode.uncertaintyShown
        single = layout is ReviewLayout.SINGLE
        mode = self._parameterNode.compareMode if single else None
        self.ui.compareLabel.visible = self.ui.compareSelector.visible = single
        for shown, names in (
            (mode in (CompareMode.SWIPE, CompareMode.FADE), ("positionLabel", "positionSlider")),
            (mode is CompareMode.BLINK, ("rateLabel", "rateSlider")),
            (mode is CompareMode.CHECKERBOARD, ("tileLabel", "tileSlider")),
        ):
            for name in names:
                getattr(self.ui, name).visible = shown
        self.ui.positionLabel.text = _("Opacity:") if mode is CompareMode.FADE else _("Line:")
        if self.review.problem:
            Messages.show(self.ui.reviewLabel, "warning", self.review.problem)
        else:
            Messages.show(self.ui.reviewLabel, "note", *self._notes(layout, possible, volumes))

    def _notes(self, layout: ReviewLayout, possible: bool, volumes):
        if self._parameterNode is None:
            return
        if not possible:
            if layoutNode() is None:
                yield _("Slicer is running without views.")
            else:
                yield _("Compute a synthetic STIR first, or choose one.")
            return
        if layout is ReviewLayout.NONE:
            return
        if volumes.acquired is None:
            yield _("No acquired STIR is chosen in Inputs, so {volume} is shown instead.").format(
                volume=volumes.reference.GetName()
            )
        if layout is ReviewLayout.SINGLE and self._parameterNode.compareMode is CompareMode.SWIPE:
            yield _("Drag the line in the view. The synthetic image is on its left.")
        if layout is ReviewLayout.SINGLE and self._parameterNode.compareMode is CompareMode.CHECKERBOARD:
            yield _("The upper left tile is acquired, its neighbours are synthetic, and so on.")
        if self.review.overlay is not None:
            yield _("The lighter the colour, the further the acquired STIR may be from the synthetic one; ± is in its units.")
        yield _("The views are linked. Hold Shift and move the mouse to show the same point in all of them.")
