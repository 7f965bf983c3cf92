"""Slicer's module `ctk`: the few widgets that this extension uses, based on PySide6."""

from __future__ import annotations

import types

from PySide6 import QtCore, QtGui, QtWidgets


class ctkCollapsibleButton(QtWidgets.QWidget):
    """A collapsible section with a title above its children. A child that was hidden stays hidden when the section expands."""

    contentsCollapsed = QtCore.Signal(bool)

    TITLE_HEIGHT = 26

    def __init__(self, parent=None):
        super().__init__(parent)
        self._text, self._collapsed, self._forcing = "", False, False
        self.setContentsMargins(0, self.TITLE_HEIGHT, 0, 0)

    def _get_text(self):
        return self._text

    def _set_text(self, text):
        self._text = text
        self.update()

    def _get_collapsed(self):
        return self._collapsed

    def _set_collapsed(self, collapsed):
        self._collapsed = collapsed
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindChildOption.FindDirectChildrenOnly):
            self._show_child(child)
        self.setMaximumHeight(self.TITLE_HEIGHT if collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def _show_child(self, child):
        self._forcing = True
        child.setVisible(not self._collapsed and child.property("visibilityToParent") is not False)
        self._forcing = False

    def childEvent(self, event):
        if event.added() and event.child().isWidgetType():
            event.child().installEventFilter(self)

    def eventFilter(self, child, event):
        """Remember what the program shows and hides, as ctkCollapsibleButton does; a collapsed section shows nothing."""
        if event.type() in (QtCore.QEvent.Type.ShowToParent, QtCore.QEvent.Type.HideToParent) and not self._forcing:
            child.setProperty("visibilityToParent", event.type() == QtCore.QEvent.Type.ShowToParent)
            if self._collapsed:
                self._show_child(child)
        return False

    text = QtCore.Property(str, _get_text, _set_text)
    collapsed = QtCore.Property(bool, _get_collapsed, _set_collapsed)

    def showEvent(self, event):
        super().showEvent(event)
        if self._collapsed:
            self._set_collapsed(True)

    def mousePressEvent(self, event):
        if event.position().y() < self.TITLE_HEIGHT:
            self._set_collapsed(not self._collapsed)

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        title = QtCore.QRect(0, 0, self.width(), self.TITLE_HEIGHT - 4)
        painter.fillRect(title, self.palette().button().color().darker(108))
        painter.setPen(self.palette().buttonText().color())
        arrow = "▸" if self._collapsed else "▾"
        painter.drawText(title.adjusted(8, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, f"{arrow}  {self._text}")


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider for floating-point values with a spin box of the same value."""

    valueChanged = QtCore.Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider, self._box = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal), QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self._box.setMaximum(100)
        self._slider.setMaximum(10_000)
        self._slider.valueChanged.connect(lambda step: self._box.setValue(self.minimum + step / 10_000 * self._span()))
        self._box.valueChanged.connect(self._changed)

    def setRange(self, minimum, maximum):
        self._box.setRange(minimum, maximum)

    def _span(self):
        return self.maximum - self.minimum

    def _changed(self, value):
        blocked = self._slider.blockSignals(True)
        self._slider.setValue(round((value - self.minimum) / (self._span() or 1) * 10_000))
        self._slider.blockSignals(blocked)
        self.valueChanged.emit(value)

    def _of_box(name, kind):
        setter = f"set{name[0].upper()}{name[1:]}"
        return QtCore.Property(kind, lambda self: getattr(self._box, name)(), lambda self, value: getattr(self._box, setter)(value))

    value, minimum, maximum = _of_box("value", float), _of_box("minimum", float), _of_box("maximum", float)
    singleStep, decimals, suffix = _of_box("singleStep", float), _of_box("decimals", int), _of_box("suffix", str)


def make_module() -> types.ModuleType:
    """Create the module for `sys.modules["ctk"]`."""
    module = types.ModuleType("ctk")
    module.ctkCollapsibleButton, module.ctkSliderWidget = ctkCollapsibleButton, ctkSliderWidget
    return module
