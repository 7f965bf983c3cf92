"""Draws the uncertainty over the synthetic volume in one slice view, with a colour legend.

The view's own layers stay as they are: one view for both STIRs needs its foreground for the comparison, and Slicer shows its own
colour legends only for the volumes of a view's layers. So the map is resampled for the view by a slice layer of its own, coloured,
and drawn in front of the view's image. Where the map is 0 nothing is drawn; a half width of a quarter of the limit or more hides
what is below it, as far as the chosen opacity allows.
"""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin
from vtk.util.numpy_support import numpy_to_vtk

from ccdnn.report.colours import uncertainty_colours
from CCDNNSynthLib.Scene.UncertaintyVolume import shownLimit

# Share of the limit from which the colours are opaque.
OPAQUE_FROM = 0.25
_LABELS = 3
_LEGEND_SIZE, _LEGEND_PLACE = (0.09, 0.32), (0.89, 0.05)  # shares of the view, from its lower left corner


class UncertaintyOverlay(VTKObservationMixin):
    """
    volume - the uncertainty that is drawn.
    visible - whether it is drawn now.
    """

    def __init__(self, viewName: str, volume):
        """:param volume: the uncertainty, a volume node with a display node."""
        VTKObservationMixin.__init__(self)
        self.volume = volume
        widget = slicer.app.layoutManager().sliceWidget(viewName)
        self._view = widget.sliceView()
        self._layer = slicer.vtkMRMLSliceLayerLogic()
        self._layer.SetMRMLScene(slicer.mrmlScene)
        self._layer.SetSliceNode(widget.mrmlSliceNode())
        self._layer.SetVolumeNode(volume)
        self._table, self._colors, self._masked = vtk.vtkLookupTable(), vtk.vtkImageMapToColors(), vtk.vtkImageMask()
        self._table.SetNumberOfTableValues(256)
        for index, color in enumerate(uncertainty_colours().tolist()):
            self._table.SetTableValue(index, *color, min(1.0, index / 255 / OPAQUE_FROM))
        self._colors.SetLookupTable(self._table)
        self._colors.SetOutputFormatToRGBA()
        self._colors.SetInputConnection(self._layer.GetReslice().GetOutputPort())
        self._mask = vtk.vtkImageData()
        self._masked.SetInputConnection(0, self._colors.GetOutputPort())
        self._masked.SetMaskInputData(self._mask)
        self._masked.SetMaskedOutputValue(0)
        self._mapper, self._image, self._legend = vtk.vtkImageMapper(), vtk.vtkActor2D(), _legend(self._table)
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._mapper.SetInputConnection(self._colors.GetOutputPort())
        self._image.SetMapper(self._mapper)
        # In front of the view's image and of a `MaskedLayer`, but behind other actors of the view, such as ROIs.
        self._image.GetProperty().SetDisplayLocationToBackground()
        self._image.SetLayerNumber(2)
        self._renderer = self._view.renderWindow().GetRenderers().GetFirstRenderer()
        for actor in (self._image, self._legend):
            actor.VisibilityOff()
            self._renderer.AddViewProp(actor)
        self._opacity, self._share, self.visible = 1.0, 1.0, False
        self.addObserver(self._layer, vtk.vtkCommand.ModifiedEvent, self._onModified)
        self._onModified(None, None)

    def show(self, opacity: float) -> None:
        """Draw it, with an opacity from 0 to 1."""
        self._opacity, self.visible = opacity, True
        self._draw()

    def hide(self) -> None:
        self.visible = False
        self._draw()

    def cover(self, mask: np.ndarray | None = None, share: float = 1.0) -> None:
        """Draw it only where the synthetic volume is seen.

        :param mask: (row, column) bool of the view's size, from the bottom up; None for everywhere.
        :param share: of the synthetic volume in what is seen, from 0 to 1.
        """
        self._share = share
        if mask is None:
            self._mapper.SetInputConnection(self._colors.GetOutputPort())
        else:
            rows, columns = mask.shape
            self._mask.SetDimensions(columns, rows, 1)
            self._mask.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
            self._mask.Modified()
            self._mapper.SetInputConnection(self._masked.GetOutputPort())
        self._draw()

    def close(self) -> None:
        self.removeObservers()
        for actor in (self._image, self._legend):
            self._renderer.RemoveViewProp(actor)
        self._layer.SetVolumeNode(None)
        self._layer.SetSliceNode(None)
        self._layer.SetMRMLScene(None)
        self._view.scheduleRender()

    def _draw(self) -> None:
        opacity = self._opacity * self._share
        self._image.GetProperty().SetOpacity(opacity)
        self._image.SetVisibility(self.visible and opacity > 0)
        self._legend.SetVisibility(self.visible)
        self._view.scheduleRender()

    def _onModified(self, caller, event) -> None:
        """Follow the limit that the volume is displayed with, and draw again."""
        self._table.SetTableRange(0, shownLimit(self.volume) or 1.0)
        self._view.scheduleRender()


def _legend(table):
    """A colour bar with the half widths, in the units of the image."""
    bar = vtk.vtkScalarBarActor()
    bar.SetLookupTable(table)
    bar.SetTitle(_("± (95 %)"))
    bar.SetNumberOfLabels(_LABELS)
    bar.SetMaximumNumberOfColors(table.GetNumberOfTableValues())
    bar.SetLabelFormat("%.3g")
    bar.SetOrientationToVertical()
    bar.SetTextPositionToPrecedeScalarBar()
    bar.SetWidth(_LEGEND_SIZE[0])
    bar.SetHeight(_LEGEND_SIZE[1])
    bar.SetPosition(*_LEGEND_PLACE)
    bar.SetVerticalTitleSeparation(6)
    bar.UnconstrainedFontSizeOn()
    for style in (bar.GetTitleTextProperty(), bar.GetLabelTextProperty()):
        style.SetFontSize(12)
        style.SetColor(0.95, 0.95, 0.95)
        style.ItalicOff()
        style.BoldOff()
        style.ShadowOn()
        # The fonts of VTK lack some languages' characters; the application may specify another font.
        slicer.app.applicationLogic().UseCustomFontFile(style)
    return bar
