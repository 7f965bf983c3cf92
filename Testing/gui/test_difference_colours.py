"""Differences have one palette and one range, that of `ccdnn.chart`, wherever the module shows them."""

from __future__ import annotations

import numpy as np
import pytest
import similarity_scene
import slicer
from testing_host import slicer_host
from vtk.util.numpy_support import vtk_to_numpy

from ccdnn import chart
from ccdnn.measure.scaling import Scaling
from CCDNNSynthLib.Report.ReportContent import reportOf
from CCDNNSynthLib.Scene.DifferenceVolume import isDifference, makeDifference


@pytest.fixture
def ui(panel):
    return similarity_scene.open_pair(panel)


def rgb(colour: str) -> list[int]:
    return [int(colour[first : first + 2], 16) for first in (1, 3, 5)]


def drawn(node) -> np.ndarray:
    """The colours that Slicer draws a volume in, (slice, row, column, 3)."""
    display = node.GetDisplayNode()
    producer = display.GetImageDataConnection().GetProducer()
    producer.Update()
    image = producer.GetOutputDataObject(0)
    columns, rows, slices = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(slices, rows, columns, -1)[..., :3].astype(int)


def sorted_colours(pixels: np.ndarray) -> np.ndarray:
    """By red minus blue, which grows with the difference, so that orientation does not matter."""
    colours = pixels.reshape(-1, 3).astype(int)
    return colours[np.argsort(colours[:, 0] - colours[:, 2], kind="stable")]


def test_the_ends_of_the_range_have_the_colours_of_the_charts(panel, ui):
    node = similarity_scene.parameters(panel)
    difference = makeDifference(node.stirVolume, node.syntheticVolume, Scaling.TISSUE)
    limit = chart.DIFFERENCE_SHOWN
    values = np.zeros_like(slicer.util.arrayFromVolume(difference))
    values[0, 0, :5] = (-2 * limit, -limit, 0, limit, 2 * limit)
    slicer.util.updateVolumeFromArray(difference, values)
    less, more = rgb(chart.LESS), rgb(chart.MORE)
    np.testing.assert_allclose(drawn(difference)[0, 0, :5], [less, less, [0, 0, 0], more, more], atol=1)


def test_the_section_the_review_and_the_report_show_a_difference_alike(panel, ui):
    parameters = similarity_scene.parameters(panel)
    slicer_host.click(ui.differenceButton)
    slicer_host.click(panel.review.ui.gridButton)
    differences = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if isDifference(node)]
    assert len(differences) == 2  # the section's own and that of the review
    first, second = (drawn(node) for node in differences)
    assert first.max() > 100
    np.testing.assert_array_equal(first, second)
    picture = reportOf(parameters, {}, None, identified=False).pictures[-1]
    index = int(picture.note.split()[1]) - 1
    # Slicer's colour table has fewer steps than the report.
    np.testing.assert_allclose(sorted_colours(picture.pixels), sorted_colours(first[index]), atol=4)
