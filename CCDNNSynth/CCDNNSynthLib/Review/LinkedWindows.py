"""Links window and level of both STIRs: when one changes, the other follows, relative to each volume's robust maximum."""

from dataclasses import dataclass
from typing import Any

import vtk
from slicer.util import VTKObservationMixin

from CCDNNSynthLib.Scene.Result import brightnessRatio


@dataclass(frozen=True)
class _Window:
    """Window and level of a display node, to be compared and restored."""

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
    """A display node, its window before linking, and its window just after linking."""

    display: Any
    before: _Window
    alike: Any = None


class LinkedWindows(VTKObservationMixin):
    def __init__(self, acquired, synthetic):
        """Show `synthetic` like `acquired` from now on. Both must have a display node."""
        VTKObservationMixin.__init__(self)
        self._acquired, self._synthetic = acquired, synthetic
        self._shown = [_Shown(node.GetDisplayNode(), _Window.of(node.GetDisplayNode())) for node in (acquired, synthetic)]
        self._following = False
        self.updateRatio()
        for shown in self._shown:
            shown.alike = _Window.of(shown.display)
            self.addObserver(shown.display, vtk.vtkCommand.ModifiedEvent, self._onModified)

    def updateRatio(self) -> None:
        """Update the scale after the voxels have changed; the synthetic volume follows the acquired one."""
        self._ratio = brightnessRatio(self._synthetic, self._acquired) or 1.0
        self._follow(self._shown[0].display)

    def close(self) -> None:
        """Unlink the volumes, and restore the windows that the user has not changed in the meantime."""
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
