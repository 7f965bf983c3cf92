"""Draws the foreground of a slice view over the background where a mask is true, without a volume that mixes the two.

The slice view already resamples and windows both of its layers for the screen, whatever their grids and transforms. The image of
the foreground is taken from there, with its opacity at 0, so that the scene never contains a partly synthetic volume.
"""

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk


class MaskedLayer:
    def __init__(self, viewName: str):
        widget = slicer.app.layoutManager().sliceWidget(viewName)
        self._logic, self._view, self._node = widget.sliceLogic(), widget.sliceView(), widget.mrmlSliceNode()
        self._mask, self._image = vtk.vtkImageMask(), vtk.vtkImageData()
        self._mask.SetMaskInputData(self._image)
        self._mask.SetMaskedOutputValue(0)
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(self._mask.GetOutputPort())
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        # Behind other actors of the view, such as ROIs, but in front of the view's own image.
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._actor.SetLayerNumber(1)
        self._actor.VisibilityOff()
        self._renderer = self._view.renderWindow().GetRenderers().GetFirstRenderer()
        self._renderer.AddViewProp(self._actor)

    @property
    def size(self) -> tuple:
        """Size of the view, (rows, columns) in pixels."""
        columns, rows = self._node.GetDimensions()[:2]
        return rows, columns

    def show(self, mask: np.ndarray) -> None:
        """Draw the foreground where `mask` is true: (row, column) bool of the view's size, from the bottom up."""
        layer = self._logic.GetForegroundLayer()
        connection = layer.GetImageDataConnection() if layer is not None else None
        if connection is None:
            self.hide()
            return
        rows, columns = mask.shape
        self._image.SetDimensions(columns, rows, 1)
        self._image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
        self._image.Modified()
        self._mask.SetInputConnection(0, connection)
        self._actor.VisibilityOn()
        self._view.scheduleRender()

    def hide(self) -> None:
        if self._actor.GetVisibility():
            self._actor.VisibilityOff()
            self._view.scheduleRender()

    def close(self) -> None:
        self._renderer.RemoveViewProp(self._actor)
        self._view.scheduleRender()
