"""Geometry of the inputs: transforms, flipped and permuted axes, voxel types. The result is always where T1-w is."""

from __future__ import annotations

import numpy as np
import panel_scene
import pytest
import slicer
import small_study
import vtk
from testing_host import slicer_host
from transforms import add_linear_transform, add_warp, rigid

from ccdnn.series import Role
from ccdnn.volume import Volume


@pytest.fixture
def plain(ready) -> np.ndarray:
    """The result of the unchanged study. Its node is removed again."""
    panel_scene.apply(ready)
    (result,) = panel_scene.results()
    array = slicer.util.arrayFromVolume(result).copy()
    slicer.mrmlScene.RemoveNode(result)
    return array


def inputs(panel) -> dict:
    node = panel.logic.getParameterNode()
    return {Role.T1: node.t1Volume, Role.T2: node.t2Volume, Role.GRE: node.greVolume}


def run(panel):
    panel_scene.apply(panel)
    results = panel_scene.results()
    assert len(results) == 1, panel_scene.message(panel)
    return results[0]


@pytest.mark.parametrize("make", [lambda: add_linear_transform(rigid()), add_warp], ids=["linear", "non-linear"])
def test_one_transform_above_all_inputs_changes_nothing_and_is_above_the_result_too(ready, plain, make):
    transform = make()
    for node in inputs(ready).values():
        node.SetAndObserveTransformNodeID(transform.GetID())
    result = run(ready)
    assert result.GetParentTransformNode() is transform
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(result), plain)


def test_linear_transforms_that_cancel_each_other_put_the_inputs_on_one_grid(ready, plain):
    """T2-w is stored elsewhere and moved back by its transform."""
    node = inputs(ready)[Role.T2]
    stored = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(stored)
    moved = slicer.util.vtkMatrixFromArray(np.linalg.inv(rigid()) @ slicer.util.arrayFromVTKMatrix(stored))
    node.SetIJKToRASMatrix(moved)
    node.SetAndObserveTransformNodeID(add_linear_transform(rigid()).GetID())
    slicer_host.process_events()
    assert "resampled" not in ready.inputs.ui.t2Grid.text
    np.testing.assert_allclose(slicer.util.arrayFromVolume(run(ready)), plain, atol=1e-5)


def test_linear_transform_above_one_input_moves_it(ready, plain):
    """Shifting T2-w by two voxels gives the same result with a transform and with another origin."""
    shift = np.eye(4)
    shift[:3, 3] = [0, 1.6, 0]
    node = inputs(ready)[Role.T2]
    transform = add_linear_transform(shift)
    node.SetAndObserveTransformNodeID(transform.GetID())
    result = run(ready)
    assert "leg t2" in ready.synthesis.ui.logText.plainText and result.GetParentTransformNode() is None
    by_transform = slicer.util.arrayFromVolume(result).copy()
    slicer.mrmlScene.RemoveNode(result)
    node.SetAndObserveTransformNodeID(None)
    node.ApplyTransformMatrix(slicer.util.vtkMatrixFromArray(shift))
    np.testing.assert_allclose(by_transform, slicer.util.arrayFromVolume(run(ready)), atol=1e-6)
    assert not np.array_equal(by_transform, plain)


def test_linear_transform_above_the_reference_alone_is_taken_into_account(ready):
    shift = np.eye(4)
    shift[:3, 3] = [0, 1.6, 0]
    volumes = inputs(ready)
    volumes[Role.T1].SetAndObserveTransformNodeID(add_linear_transform(shift).GetID())
    result = run(ready)
    assert result.GetParentTransformNode() is volumes[Role.T1].GetParentTransformNode()
    under_transform = slicer.util.arrayFromVolume(result).copy()
    slicer.mrmlScene.RemoveNode(result)
    volumes[Role.T1].HardenTransform()
    np.testing.assert_allclose(under_transform, slicer.util.arrayFromVolume(run(ready)), atol=1e-5)


def test_non_linear_transform_above_one_input_is_refused_with_what_to_do(ready):
    inputs(ready)[Role.GRE].SetAndObserveTransformNodeID(add_warp().GetID())
    slicer_host.process_events()
    assert "harden it first" in ready.inputs.ui.greGrid.text
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    panel_scene.finish(ready)
    assert "harden it first" in panel_scene.message(ready)
    assert panel_scene.snapshot() == before and panel_scene.is_ready(ready)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float64])
def test_types_of_voxels(ready, dtype):
    """The same values give the same result, whatever their type."""
    volumes = {role: np.clip(small_study.volumes()[role].array / 6, 0, 255).astype(np.uint8) for role in inputs(ready)}
    results = []
    for kind in (np.float32, dtype):
        for role, node in inputs(ready).items():
            slicer.util.updateVolumeFromArray(node, volumes[role].astype(kind))
        result = run(ready)
        results.append(slicer.util.arrayFromVolume(result).copy())
        slicer.mrmlScene.RemoveNode(result)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("turn", "where"),
    [
        (lambda a: a[:, :, ::-1], lambda shape: ([-1, 1, 1], [shape[2] - 1, 0, 0], [0, 1, 2])),
        (lambda a: a[::-1], lambda shape: ([1, 1, -1], [0, 0, shape[0] - 1], [0, 1, 2])),
        (lambda a: a.transpose(1, 0, 2), lambda shape: ([1, 1, 1], [0, 0, 0], [0, 2, 1])),
    ],
    ids=["mirrored columns", "slices in the other order", "slices along rows"],
)
def test_flipped_and_permuted_axes_of_an_input(ready, plain, turn, where):
    """The same T2-w image stored along other axes has the same positions and gives the same result."""
    volume = small_study.volumes()[Role.T2]
    signs, origin, order = where(volume.grid.shape)
    to_plain = np.eye(4)
    to_plain[:3, :3] = np.diag(signs)[:, order]
    to_plain[:3, 3] = origin
    turned = Volume(np.ascontiguousarray(turn(volume.array)), volume.ijk_to_ras @ to_plain)
    ready.logic.getParameterNode().t2Volume = panel_scene.add(turned, "turned t2")
    slicer_host.process_events()
    np.testing.assert_allclose(slicer.util.arrayFromVolume(run(ready)), plain, atol=2e-3)
