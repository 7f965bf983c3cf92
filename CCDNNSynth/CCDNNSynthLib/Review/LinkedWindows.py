"""Same window and level on both STIRs, live: when one is changed the other follows, as shares of each volume's robust maximum."""

from dataclasses import dataclass
from typing import Any

import vtk
from slicer.util import VTKObservationMixin

from CCDNNSynthLib.Scene.Result import brightnessRatio


@dataclass(frozen=True)
class _Window:
    """What a display node shows, to be compared and put back."""

    automatic: bool
    window: float
    level: float

    @classmethod
    def of(cls, display) -> "_Window":
        return cls(bool(display.GetAutoWindowLevel()), display.GetWindow(), display.GetLevel())

    def putBack(self, display) -> None:
        display.SetAutoWindowLevel(self.automatic)
        if not self.automatic:
            display.SetWindowLevel(self.window, self.level)


@dataclass
class _Shown:
    """A display node, how the user had it, and how it was when the two were first shown alike."""

    display: Any
    before: _Window
    alike: Any = None


class LinkedWindows(VTKObservationMixin):
    def __init__(self, acquired, synthetic):
        """Show `synthetic` like `acquired`, and keep it so. Both have a display node."""
        VTKObservationMixin.__init__(self)
        self._acquired, self._synthetic = acquired, synthetic
        self._shown = [_Shown(node.GetDisplayNode(), _Window.of(node.GetDisplayNode())) for node in (acquired, synthetic)]
        self._following = False
        self.updateRatio()
        for shown in self._shown:
            shown.alike = _Window.of(shown.display)
            self.addObserver(shown.display, vtk.vtkCommand.ModifiedEvent, self._onModified)

    def updateRatio(self) -> None:
        """The voxels have changed, so the scale may have; the acquired volume leads."""
        self._ratio = brightnessRatio(self._synthetic, self._acquired) or 1.0
        self._follow(self._shown[0].display)

    def close(self) -> None:
        """Tie them no longer. What the user did not change meanwhile is as it was before."""
        self.removeObservers()
        for shown in self._shown:
            if shown.display.GetScene() is not None and _Window.of(shown.display) == shown.alike:
                shown.before.putBack(shown.display)

    def _onModified(self, caller, event) -> None:
        if not self._following:
            self._follow(caller)

    def _follow(self, leader) -> None:
        acquired, synthetic = (shown.display for shown in self._shown)
        other, ratio = (synthetic, self._ratio) if leader is acquired else (acquired, 1 / self._ratio)
        window, level = leader.GetWindow() * ratio, leader.GetLevel() * ratio
        if abs(other.GetWindow() - window) + abs(other.GetLevel() - level) <= 1e-9 * (abs(window) + abs(level)):
            return
        self._following = True
        other.AutoWindowLevelOff()
        other.SetWindowLevel(window, level)
        self._following = False
