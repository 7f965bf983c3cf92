"""Profiles of the scene's volumes along a markup. Each may have its own transforms, which may be non-linear."""

import numpy as np
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from ccdnn.errors import InputError
from ccdnn.measure.line import default_step, sample_image, sample_line
from ccdnn.measure.profile import Image, LineProfiles, scales_of
from ccdnn.series import Role
from CCDNNSynthLib.Parameters import volumeOf
from CCDNNSynthLib.Scene.SceneVolumes import gridOf, voxelsOf
from CCDNNSynthLib.Scene.Transforms import transformed, worldToLocal
from CCDNNSynthLib.Scene.UncertaintyVolume import uncertaintyOf

_INPUTS = {Image.T1: Role.T1, Image.T2: Role.T2, Image.GRE: Role.GRE}


def profiledVolumes(parameterNode) -> dict:
    """Image → volume node of each chosen volume that is to be plotted."""
    volumes = {Image.ACQUIRED: parameterNode.stirVolume, Image.SYNTHETIC: parameterNode.syntheticVolume}
    if parameterNode.profileInputs:
        volumes.update({image: volumeOf(parameterNode, role) for image, role in _INPUTS.items()})
    return {image: node for image, node in volumes.items() if node is not None}


class ProfileMeter:
    """Measures repeatedly while a point is dragged; caches the volumes' scales, which depend on every voxel."""

    def __init__(self):
        self._scales = {}

    def measure(self, volumes: dict, markup) -> LineProfiles:
        """
        :param volumes: image → volume node.
        :param markup: a line or curve node.

        Raises ccdnn.errors.InputError: no voxels, or no line through them.
        """
        if not volumes:
            raise InputError(_("Compute a synthetic STIR first, or choose a volume to profile."))
        grids = {image: gridOf(node) for image, node in volumes.items()}
        line = sample_line(worldPointsOf(markup), default_step(*grids.values()))
        values = {
            image: sample_image(voxelsOf(node), grids[image].ijk_to_ras, transformed(line.points, worldToLocal(node)))
            for image, node in volumes.items()
        }
        scales, problem = self._scalesOf(volumes)
        return LineProfiles(line, values, scales, problem, _halfWidth(volumes.get(Image.SYNTHETIC), line.points))

    def _scalesOf(self, volumes: dict) -> tuple:
        """Acquired and synthetic are scaled as a pair, each input separately, see `ccdnn.measure.profile.scales_of`."""
        pair = {image: node for image, node in volumes.items() if image not in _INPUTS}
        groups = [group for group in (pair, *({image: node} for image, node in volumes.items() if image in _INPUTS)) if group]
        known, self._scales = self._scales, {}
        for group in groups:
            key = tuple((image, node.GetID(), node.GetImageData().GetMTime()) for image, node in group.items())
            self._scales[key] = known.get(key) or scales_of({image: voxelsOf(node) for image, node in group.items()})
        scales = {image: scale for found, _problem in self._scales.values() for image, scale in found.items()}
        return scales, " ".join(problem for _found, problem in self._scales.values() if problem)


def _halfWidth(synthetic, points: np.ndarray):
    """Half the width of the 95 % interval of the synthetic volume at points of the world; None if it has no uncertainty.

    The uncertainty lies where the synthetic volume does, voxel by voxel.
    """
    uncertainty = uncertaintyOf(synthetic)
    if uncertainty is None:
        return None
    local = transformed(points, worldToLocal(synthetic))
    return sample_image(voxelsOf(uncertainty), gridOf(synthetic).ijk_to_ras, local)


def worldPointsOf(markup) -> np.ndarray:
    """(n, 3) points in mm RAS of the world: the ends of a line, or the points of the polyline that is drawn for a curve."""
    if markup.IsA("vtkMRMLMarkupsCurveNode"):
        points = markup.GetCurvePointsWorld()
        return vtk_to_numpy(points.GetData()).astype(float) if points is not None else np.empty((0, 3))
    # A line's drawn points have single precision, so use its control points, also one that still follows the mouse.
    placed = (markup.PositionDefined, markup.PositionPreview)
    indices = [n for n in range(markup.GetNumberOfControlPoints()) if markup.GetNthControlPointPositionStatus(n) in placed]
    return np.array([markup.GetNthControlPointPositionWorld(index) for index in indices]).reshape(-1, 3)
