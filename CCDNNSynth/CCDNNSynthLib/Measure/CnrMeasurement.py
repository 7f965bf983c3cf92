"""CNR of the scene's volumes in the scene's regions. A new measurement only samples again what has changed."""

from dataclasses import replace

import numpy as np
import slicer

from ccdnn.errors import InputError
from ccdnn.measure.cnr import TissueSample, cnr_table_of_samples, joined_voxels, shared_voxels, tissue_name
from ccdnn.measure.contrast import with_contrast
from ccdnn.trust import region_error_of
from CCDNNSynthLib.Scene.Regions import gridStamp
from CCDNNSynthLib.Scene.SceneVolumes import voxelsOf
from CCDNNSynthLib.Scene.Transforms import linearIJKToWorld
from CCDNNSynthLib.Scene.UncertaintyVolume import uncertaintyOf

SYNTHETIC = "synthetic"


class CnrMeasurement:
    """Each volume is sampled at its own voxels whose centres lie in the region, because interpolation would smooth the noise that
    CNR divides by. Volumes with different grids therefore have different voxel counts.
    """

    def __init__(self):
        self._before, self._now = {}, {}

    def table(self, volumes: dict, regions, pairs, form):
        """
        :param volumes: name, such as "acquired" → volume node. If the one called `SYNTHETIC` has an uncertainty, the table also
            says how much brighter the foreground is in truth, see `ccdnn.measure.contrast`.
        :param regions: see `CCDNNSynthLib.Scene.Regions`.
        :param pairs: `ccdnn.measure.cnr.TissuePair`s.
        :param form: `ccdnn.measure.cnr.CnrForm`.
        :return: `ccdnn.measure.table.Table`.

        Raises:
            InputError: a volume has no voxels, or several values per voxel.
        """
        wanted = {tissue_name(name) for pair in pairs for name in (pair.foreground, pair.background)}
        regionsOfTissue: dict[str, list] = {}
        for region in regions:
            if region.tissue in wanted:
                regionsOfTissue.setdefault(region.tissue, []).append(region)
        samples, shared, widths = {}, {}, {}
        uncertainty = uncertaintyOf(volumes.get(SYNTHETIC))
        for name, volume in volumes.items():
            # Volumes with the same grid share everything except the samples.
            grid = gridStamp(volume)
            voxels = {tissue: self._voxels(grid, volume, tissue, parts) for tissue, parts in regionsOfTissue.items()}
            samples[name] = self._samples(volume, voxels)
            if name == SYNTHETIC and uncertainty is not None:
                widths = self._samples(uncertainty, voxels)
            shared[name] = {pair: self._shared(grid, pair, voxels) for pair in pairs}
        self._before, self._now = self._now, {}
        table = cnr_table_of_samples(samples, shared, pairs, form)
        if uncertainty is None:
            return table
        header = {name: uncertainty.GetAttribute(name) for name in uncertainty.GetAttributeNames()}
        try:
            error = region_error_of(header, uncertainty.GetName())
        except InputError as problem:  # the CNR is measured all the same
            return replace(table, notes=(*table.notes, str(problem)))
        return with_contrast(table, pairs, samples[SYNTHETIC], widths, error, _voxelMm3(volumes[SYNTHETIC]))

    def _samples(self, volume, voxels: dict) -> dict:
        """Tissue → the sample of a volume at these voxels."""
        array, modified = voxelsOf(volume).reshape(-1), volume.GetImageData().GetMTime()
        return {
            tissue: self._kept(
                ("sample", volume.GetID(), tissue), (id(found), modified), lambda found=found: TissueSample.of(array[found])
            )
            for tissue, found in voxels.items()
        }

    def _voxels(self, grid, volume, tissue, parts) -> np.ndarray:
        """The voxels of all regions of a tissue: the same array object as in the last measurement if they have not changed."""
        found = []
        for part in parts:
            key = ("region", grid, part.key)
            found.append(self._kept(key, part.stamp(volume), lambda key=key, part=part: self._unlessSame(key, part.voxels(volume))))
        return self._kept(("tissue", grid, tissue), tuple(map(id, found)), lambda: joined_voxels(found))

    def _unlessSame(self, key, voxels) -> np.ndarray:
        """Segments share a labelmap, so painting one changes the stamps of the others, but not their voxels."""
        before = self._before.get(key)
        return before[1] if before is not None and np.array_equal(before[1], voxels) else voxels

    def _shared(self, grid, pair, voxels) -> int:
        names = tissue_name(pair.foreground), tissue_name(pair.background)
        if not all(name in voxels for name in names):
            return 0
        both = [voxels[name] for name in names]
        return self._kept(("shared", grid, names), tuple(map(id, both)), lambda: shared_voxels(*both))

    def _kept(self, key, stamp, compute):
        """The cached result of `compute` for this stamp, from this measurement or the previous one.

        Stamps compare arrays by id, so the arrays of the previous measurement are kept alive until this one ends.
        """
        kept = self._now.get(key) or self._before.get(key)
        self._now[key] = kept if kept is not None and kept[0] == stamp else (stamp, compute())
        return self._now[key][1]


def _voxelMm3(volume) -> float:
    """Volume of a voxel in the world."""
    return abs(float(np.linalg.det(slicer.util.arrayFromVTKMatrix(linearIJKToWorld(volume))[:3, :3])))
