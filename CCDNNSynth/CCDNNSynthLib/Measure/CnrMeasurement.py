"""CNR of the scene's volumes in the scene's regions. Between two measurements only what has changed is sampled again."""

import numpy as np

from ccdnn.measure.cnr import TissueSample, cnr_table_of_samples, joined_voxels, shared_voxels, tissue_name
from CCDNNSynthLib.Scene.Regions import gridStamp
from CCDNNSynthLib.Scene.SceneVolumes import voxelsOf


class CnrMeasurement:
    """Each volume is sampled in its own voxels whose centres lie in the region: interpolating would smooth the noise that CNR
    divides by. Volumes of different grids therefore have different voxel counts.
    """

    def __init__(self):
        self._before, self._now = {}, {}

    def table(self, volumes: dict, regions, pairs, form):
        """
        :param volumes: name, such as "acquired" → volume node.
        :param regions: see `CCDNNSynthLib.Scene.Regions`.
        :param pairs: `ccdnn.measure.cnr.TissuePair`s.
        :param form: `ccdnn.measure.cnr.CnrForm`.
        :return: `ccdnn.measure.table.Table`.

        Raises:
            InputError: a volume without voxels, or with several values a voxel.
        """
        wanted = {tissue_name(name) for pair in pairs for name in (pair.foreground, pair.background)}
        regionsOfTissue = {}
        for region in regions:
            if region.tissue in wanted:
                regionsOfTissue.setdefault(region.tissue, []).append(region)
        samples, shared = {}, {}
        for name, volume in volumes.items():
            array = voxelsOf(volume).reshape(-1)
            # Volumes on one grid share all but the sampling.
            grid = gridStamp(volume)
            voxels = {tissue: self._voxels(grid, volume, tissue, parts) for tissue, parts in regionsOfTissue.items()}
            modified = volume.GetImageData().GetMTime()
            samples[name] = {
                tissue: self._kept(
                    ("sample", volume.GetID(), tissue),
                    (id(found), modified),
                    lambda found=found, array=array: TissueSample.of(array[found]),
                )
                for tissue, found in voxels.items()
            }
            shared[name] = {pair: self._shared(grid, pair, voxels) for pair in pairs}
        self._before, self._now = self._now, {}
        return cnr_table_of_samples(samples, shared, pairs, form)

    def _voxels(self, grid, volume, tissue, parts) -> np.ndarray:
        """Of all regions of a tissue together: the very array of the last measurement, as long as they are the same voxels."""
        found = []
        for part in parts:
            key = ("region", grid, part.key)
            found.append(self._kept(key, part.stamp(volume), lambda key=key, part=part: self._unlessSame(key, part.voxels(volume))))
        return self._kept(("tissue", grid, tissue), tuple(map(id, found)), lambda: joined_voxels(found))

    def _unlessSame(self, key, voxels) -> np.ndarray:
        """Segments share a labelmap, so that one which is painted changes the stamps of the others, but not their voxels."""
        before = self._before.get(key)
        return before[1] if before is not None and np.array_equal(before[1], voxels) else voxels

    def _shared(self, grid, pair, voxels) -> int:
        names = tissue_name(pair.foreground), tissue_name(pair.background)
        if not all(name in voxels for name in names):
            return 0
        both = [voxels[name] for name in names]
        return self._kept(("shared", grid, names), tuple(map(id, both)), lambda: shared_voxels(*both))

    def _kept(self, key, stamp, compute):
        """What `compute` gave when the stamp was the same, in this measurement or the one before.

        Arrays are told apart by their id: those of the measurement before are held until this one is over.
        """
        kept = self._now.get(key) or self._before.get(key)
        self._now[key] = kept if kept is not None and kept[0] == stamp else (stamp, compute())
        return self._now[key][1]
