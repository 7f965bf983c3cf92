"""What every section of the module has: its widgets, the parameter node it shows, and a look at it again when it has changed."""

import qt
import slicer
from slicer.util import VTKObservationMixin


class Panel(VTKObservationMixin):
    """One section. A subclass has `refresh()`, which brings its widgets up to date with the choices, of which there may be none."""

    def __init__(self, widget):
        """:param widget: of the section's .ui file."""
        VTKObservationMixin.__init__(self)
        self.ui = slicer.util.childWidgetVariables(widget)
        self._parameterNode = None
        # Several parameters change at once, and a look may take a moment: look when the changes are over.
        self._pause = qt.QTimer()
        self._pause.interval = 0
        self._pause.timeout.connect(self._onPauseOver)

    def setParameterNode(self, parameterNode) -> None:
        """Show, and change, the choices of that node, a CCDNNSynthParameterNode; None shows nothing."""
        self._parameterNode = parameterNode
        self.refresh()

    def refreshSoon(self) -> None:
        """Refresh when the changes that are being made are over."""
        self._pause.start()

    def exit(self) -> None:
        """Another module is shown. A section that works while it is looked at, not only when it is used, stops."""

    def close(self) -> None:
        """The module is closed or reloaded: nothing of the section may act any more."""
        self._pause.stop()
        self.removeObservers()

    def _onPauseOver(self) -> None:
        self._pause.stop()
        self.refresh()
