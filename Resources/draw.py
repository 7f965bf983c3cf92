"""Draws the pictures that are committed as PNG: the icons from CCDNNSynth.svg, the sample study's thumbnail from its volumes.

python Resources/draw.py        (PySide6-Essentials and the engine are needed)
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtGui, QtSvg

from ccdnn.files import read_header
from ccdnn.normalisation import robust_maximum

ROOT = Path(__file__).resolve().parents[1]
ICONS = ROOT / "CCDNNSynth" / "Resources" / "Icons"
SAMPLE = ROOT / "CCDNNSynth" / "Resources" / "SampleData"
THUMBNAIL = (260, 280)


def draw_icon(size: int) -> QtGui.QImage:
    image = QtGui.QImage(size, size, QtGui.QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QtGui.QPainter(image)
    QtSvg.QSvgRenderer(str(ROOT / "Resources" / "CCDNNSynth.svg")).render(painter)
    painter.end()
    return image


def draw_thumbnail() -> QtGui.QImage:
    """T1-w, T2-w, GRE and STIR of the middle slice, two by two."""
    width, height = THUMBNAIL
    image = QtGui.QImage(width, height, QtGui.QImage.Format.Format_RGB32)
    image.fill(0)
    painter = QtGui.QPainter(image)
    for n, name in enumerate(("t1", "t2", "gre", "stir")):
        array = read_header(SAMPLE / f"{name}.nrrd").load().array
        shown = np.clip(array[len(array) // 2] / robust_maximum(array), 0, 1)
        grey = np.ascontiguousarray((255 * shown).astype(np.uint8))
        tile = QtGui.QImage(grey.data, grey.shape[1], grey.shape[0], grey.shape[1], QtGui.QImage.Format.Format_Grayscale8)
        place = QtCore.QRect(n % 2 * width // 2, n // 2 * height // 2, width // 2, height // 2)
        tile = tile.scaled(
            place.size(), QtCore.Qt.AspectRatioMode.KeepAspectRatio, QtCore.Qt.TransformationMode.SmoothTransformation
        )
        painter.drawImage(place.center() - tile.rect().center(), tile)
    painter.end()
    return image


def main() -> None:
    application = QtGui.QGuiApplication([])
    ICONS.mkdir(exist_ok=True)
    draw_icon(128).save(str(ROOT / "Resources" / "CCDNNSynth.png"))
    draw_icon(64).save(str(ICONS / "CCDNNSynth.png"))
    draw_thumbnail().save(str(ICONS / "SampleKnee.png"))
    del application


if __name__ == "__main__":
    main()
