"""Base class of the module's sections: the widgets, the parameter node that they show, and refreshing when it changes."""

import slicer

from CCDNNSynthLib.Delay import Delay


class Panel:
    """One section. A subclass implements `refresh()`; the parameter node may be None."""

    def __init__(self, widget):
        """:param widget: loaded from the section's .ui file."""
        self.ui = slicer.util.childWidgetVariables(widget)
        self._parameterNode = None
        # Several parameters may change at once and a refresh takes time, so refresh once after the changes.
        self._pause = Delay(self.refresh)

    def setParameterNode(self, parameterNode) -> None:
        """Show and edit this CCDNNSynthParameterNode; None shows nothing."""
        self._parameterNode = parameterNode
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the parameter node."""
        raise NotImplementedError

    def refreshSoon(self) -> None:
        """Refresh after the changes in progress."""
        self._pause.start()

    def exit(self) -> None:
        """Called when the user leaves the module. A section that updates continuously stops."""

    def close(self) -> None:
        """Called when the module is closed or reloaded. Stops timers and observers."""
        self._pause.stop()
