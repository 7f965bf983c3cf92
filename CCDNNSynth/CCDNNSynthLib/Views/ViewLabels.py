"""Labels in the upper corners of slice views. They say what a view shows and always mark a synthetic image as synthetic.

The labels are separate text actors, because Data Probe rewrites all of a view's corner annotations whenever a slice changes.
"""

from dataclasses import dataclass

import slicer
import vtk

ACQUIRED_COLOR = (0.9, 0.9, 0.9)
SYNTHETIC_COLOR = (1.0, 0.75, 0.2)
FONT_SIZE = 14
_MARGIN = 0.012


@dataclass(frozen=True)
class Label:
    text: str
    synthetic: bool = False


NO_LABEL = Label("")


class ViewLabels:
    """The labels in the upper left and upper right corners of one slice view."""

    def __init__(self, viewName: str):
        self._view = slicer.app.layoutManager().sliceWidget(viewName).sliceView()
        self._renderer = self._view.renderWindow().GetRenderers().GetFirstRenderer()
        self._actors = (_actor(_MARGIN), _actor(1 - _MARGIN))
        self._actors[1].GetTextProperty().SetJustificationToRight()
        self._labels: tuple[Label, ...] = ()
        for actor in self._actors:
            self._renderer.AddViewProp(actor)

    @property
    def texts(self) -> tuple:
        """The texts, left and right."""
        return tuple(label.text for label in self._labels)

    def show(self, left: Label, right: Label = NO_LABEL) -> None:
        if self._labels == (left, right):
            return
        self._labels = (left, right)
        for actor, label in zip(self._actors, self._labels, strict=True):
            actor.SetInput(label.text)
            actor.SetVisibility(bool(label.text))
            actor.GetTextProperty().SetColor(*(SYNTHETIC_COLOR if label.synthetic else ACQUIRED_COLOR))
        self._view.scheduleRender()

    def close(self) -> None:
        for actor in self._actors:
            self._renderer.RemoveViewProp(actor)
        self._view.scheduleRender()


def _actor(x: float):
    actor = vtk.vtkTextActor()
    actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
    actor.SetPosition(x, 1 - _MARGIN)
    style = actor.GetTextProperty()
    style.SetFontSize(FONT_SIZE)
    style.SetVerticalJustificationToTop()
    style.BoldOn()
    style.ShadowOn()
    # Some languages need characters that VTK's own fonts lack; the application may specify another font.
    slicer.app.applicationLogic().UseCustomFontFile(style)
    return actor
