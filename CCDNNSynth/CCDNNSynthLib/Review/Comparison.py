"""Compares two volumes in one view by swipe, fade, blink or checkerboard."""

from dataclasses import dataclass, replace

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from CCDNNSynthLib.Parameters import CompareMode
from CCDNNSynthLib.Review.MaskedLayer import MaskedLayer
from CCDNNSynthLib.Review.SwipeLine import SwipeLine
from CCDNNSynthLib.Review.UncertaintyOverlay import UncertaintyOverlay
from CCDNNSynthLib.Views.ViewLabels import NO_LABEL, Label, ViewLabels


@dataclass(frozen=True)
class CompareSettings:
    """How to compare, see `CCDNNSynthLib.Parameters`."""

    mode: CompareMode
    position: float
    blinkRate: float
    tileSize: float

    @classmethod
    def of(cls, parameterNode) -> "CompareSettings":
        return cls(parameterNode.compareMode, parameterNode.comparePosition, parameterNode.blinkRate, parameterNode.tileSize)


class Comparison(VTKObservationMixin):
    """Compares the foreground of a slice view, the synthetic volume, with its background. An overlay covers only the synthetic.

    swipe - the synthetic is shown left of a line that can be dragged.
    fade - the synthetic is shown over the background with adjustable opacity.
    blink - the two alternate.
    checkerboard - every second tile is synthetic; the upper left tile is not.
    """

    def __init__(self, viewName: str, background: Label, foreground: Label, onPosition):
        """
        :param background: label of the background; `foreground` is the label of the foreground.
        :param onPosition: called with the new position when the user has dragged the swipe line.
        """
        VTKObservationMixin.__init__(self)
        widget = slicer.app.layoutManager().sliceWidget(viewName)
        self._composite, self._node, self._viewName = widget.mrmlSliceCompositeNode(), widget.mrmlSliceNode(), viewName
        self._background, self._foreground, self._onPosition = background, foreground, onPosition
        self.labels, self._layer = ViewLabels(viewName), MaskedLayer(viewName)
        self._line: SwipeLine | None = None
        self._overlay: UncertaintyOverlay | None = None
        self._seen: tuple = (None, 1.0)  # the mask of the synthetic volume and its share, see `UncertaintyOverlay.cover`
        self._settings: CompareSettings | None = None
        self._geometry: tuple | None = None
        self._blink = qt.QTimer()
        self._blink.timeout.connect(self._onBlink)
        self.addObserver(self._node, vtk.vtkCommand.ModifiedEvent, self._onViewModified)

    def show(self, settings: CompareSettings) -> None:
        if settings != self._settings:
            self._settings, self._geometry = settings, self._geometryNow()
            self._draw(settings)

    def setOverlay(self, overlay: UncertaintyOverlay | None) -> None:
        """Keep `overlay`, which the caller shows and closes, where the synthetic volume is seen."""
        self._overlay = overlay
        self._cover(*self._seen)

    def close(self) -> None:
        self.removeObservers()
        self._blink.stop()
        self._showLine(None)
        self._layer.close()
        self.labels.close()

    def _draw(self, settings: CompareSettings) -> None:
        mode = settings.mode
        self._showLine(settings.position if mode is CompareMode.SWIPE else None)
        if mode is CompareMode.SWIPE:
            self._showWhere(_leftOf(settings.position, self._layer.size))
            self.labels.show(self._foreground, self._background)
        elif mode is CompareMode.CHECKERBOARD:
            self._showWhere(_tiles(settings.tileSize / self._pixelSize(), self._layer.size))
            self.labels.show(self._background, self._foreground)
        else:
            self._layer.hide()
        if mode is CompareMode.BLINK:
            self._blink.start(round(1000 / settings.blinkRate))
            self._showTurn(foreground=True)
        else:
            self._blink.stop()
            self._composite.SetForegroundOpacity(settings.position if mode is CompareMode.FADE else 0)
        if mode is CompareMode.FADE:
            self._cover(None, settings.position)
            self.labels.show(_withShare(self._background, 1 - settings.position), _withShare(self._foreground, settings.position))

    def _showWhere(self, mask: np.ndarray) -> None:
        self._layer.show(mask)
        self._cover(mask, 1.0)

    def _cover(self, mask: np.ndarray | None, share: float) -> None:
        self._seen = (mask, share)
        if self._overlay is not None:
            self._overlay.cover(mask, share)

    def _onDragged(self, position: float) -> None:
        """Update only this view while the mouse moves; changing the parameter node would be too slow."""
        assert self._settings is not None  # the line is only there while a comparison is shown
        self.show(replace(self._settings, position=position))

    def _onBlink(self) -> None:
        self._showTurn(foreground=self._composite.GetForegroundOpacity() == 0)

    def _showTurn(self, foreground: bool) -> None:
        self._composite.SetForegroundOpacity(1 if foreground else 0)
        self._cover(None, 1.0 if foreground else 0.0)
        # Each image has its label in its own corner, so that it is recognised without reading.
        self.labels.show(*((NO_LABEL, self._foreground) if foreground else (self._background, NO_LABEL)))

    def _showLine(self, position: float | None) -> None:
        """Show the line at `position`, or remove it (None)."""
        if position is not None:
            if self._line is None:
                self._line = SwipeLine(self._viewName, self._onDragged, self._onPosition)
            self._line.show(position)
        elif self._line is not None:
            self._line.close()
            self._line = None

    def _onViewModified(self, caller, event) -> None:
        """Redraw after a change of size or zoom, because the mask is in pixels of the view."""
        if self._settings is not None and self._geometryNow() != self._geometry:
            self._geometry = self._geometryNow()
            self._draw(self._settings)

    def _geometryNow(self) -> tuple:
        return (*self._layer.size, round(self._pixelSize(), 6))

    def _pixelSize(self) -> float:
        """In mm."""
        return self._node.GetFieldOfView()[1] / max(1, self._node.GetDimensions()[1])


def _leftOf(position: float, size: tuple) -> np.ndarray:
    rows, columns = size
    return np.broadcast_to(np.arange(columns) < position * columns, (rows, columns))


def _tiles(pixels: float, size: tuple) -> np.ndarray:
    """(row, column) bool, from the bottom up; the tile in the upper left corner is false."""
    rows, columns = size
    row = np.floor(np.arange(rows)[::-1] / pixels).astype(int)
    column = np.floor(np.arange(columns) / pixels).astype(int)
    return (row[:, None] + column) % 2 == 1


def _withShare(label: Label, share: float) -> Label:
    return Label(_("{label}\n{percent:.0f} %").format(label=label.text, percent=100 * share), label.synthetic)
