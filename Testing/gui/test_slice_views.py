"""Which slice of a volume the slice views show, for volumes that are moved or warped."""

from __future__ import annotations

import numpy as np
import panel_scene
import pytest
import slicer
from transforms import add_linear_transform, add_warp, rigid

from ccdnn.series import Role
from CCDNNSynthLib.Views.OwnViews import align
from CCDNNSynthLib.Views.SliceViews import showSlice, sliceInView


@pytest.mark.parametrize(
    "make", [lambda: None, lambda: add_linear_transform(rigid()), add_warp], ids=["as stored", "moved", "warped"]
)
def test_the_slice_that_is_shown_is_the_slice_in_view(panel, make):
    (volume,) = panel_scene.add_leg((Role.STIR,)).values()
    transform = make()
    volume.SetAndObserveTransformNodeID(transform.GetID() if transform is not None else None)
    for index in (4, 0, 2):
        align(["Red", "Yellow"], volume, 5)
        assert sliceInView(volume) == 5
        showSlice(volume, index)
        assert sliceInView(volume) == index


def test_views_across_the_slices_stay_where_they_are(panel):
    (volume,) = panel_scene.add_leg((Role.STIR,)).values()
    red = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    before = slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS())
    showSlice(volume, 3)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS()), before, atol=1e-6)
