"""Measures the image similarity of the scene's volumes, one slice at a time, and checks whether a result is still current."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import qt
from slicer.i18n import tr as _

from ccdnn.errors import InputError
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.similarity import ScaledPair, SliceSimilarity, scaled_pair, similarity_by_slice
from ccdnn.measure.similarity_table import overlap_by_slice, similarity_table
from CCDNNSynthLib.Scene.Regions import SegmentRegion
from CCDNNSynthLib.Scene.SceneVolumes import gridOf, voxelsOf, voxelsOn

# Names of volumes in tables. Node names are not used, because they may contain a patient's name.
_NAMES = ("synthetic STIR", "acquired STIR")


@dataclass(frozen=True)
class SimilarityChoices:
    """The volumes, the segment to measure in (everywhere without a segmentation or if ""), and the scaling."""

    synthetic: Any
    acquired: Any
    segmentation: Any
    segment: str
    scaling: Scaling

    @classmethod
    def of(cls, parameterNode) -> "SimilarityChoices":
        segmentation = parameterNode.maskSegmentation
        segment = parameterNode.maskSegment if segmentation is not None else ""
        return cls(parameterNode.syntheticVolume, parameterNode.stirVolume, segmentation, segment, parameterNode.similarityScaling)

    @property
    def complete(self) -> bool:
        return self.synthetic is not None and self.acquired is not None

    def pair(self) -> ScaledPair:
        """Copies of the voxels on one scale, the synthetic ones on the grid of the acquired. Later changes of the nodes do not
        affect them.

        Raises:
            InputError: see `SceneVolumes.voxelsOn` and `ccdnn.measure.similarity.scaled_pair`; or the segment is missing or empty.
        """
        array, covered = voxelsOn(self.acquired, self.synthetic)
        reference = voxelsOf(self.acquired)
        return scaled_pair(array, reference, self.scaling, names=_NAMES, mask=self._mask(reference.shape), known=covered)

    def stamp(self) -> str:
        """A text that stays the same as long as a measurement would give the same values, even after saving and loading the scene.

        "" if nothing can be measured.
        """
        try:
            grid, own = gridOf(self.acquired), gridOf(self.synthetic, self.acquired)
            # Relative position of the two, which does not change if both move together. + 0.0 turns −0 into 0.
            between = np.round(np.linalg.inv(grid.ijk_to_ras) @ own.ijk_to_ras, 4) + 0.0
            parts = [np.array([*grid.shape, *own.shape]), between, voxelsOf(self.acquired), voxelsOf(self.synthetic)]
            mask = self._mask(grid.shape)
        except InputError:
            return ""
        check = zlib.crc32(self.scaling.value.encode())
        for part in parts if mask is None else [*parts, mask]:
            check = zlib.crc32(np.ascontiguousarray(part).view(np.uint8).reshape(-1).data, check)
        return f"{check:08x}"

    def _mask(self, shape):
        """(slice, row, column) bool on the grid of the acquired volume; None for everywhere."""
        if not self.segment:
            return None
        segment = self.segmentation.GetSegmentation().GetSegment(self.segment)
        if segment is None:
            raise InputError(_("The segment chosen as the mask no longer exists; choose another."))
        mask = np.zeros(shape, bool)
        mask.reshape(-1)[SegmentRegion(self.segmentation, self.segment).voxels(self.acquired)] = True
        if not mask.any():
            raise InputError(
                _("The segment {segment} contains no voxel of {volume}; draw it or choose another.").format(
                    segment=segment.GetName(), volume=self.acquired.GetName()
                )
            )
        return mask


@dataclass(frozen=True)
class SimilarityResult:
    """The measurement, kept so that a new threshold does not require a new measurement."""

    pair: ScaledPair
    slices: list
    stamp: str

    @property
    def masked(self) -> bool:
        return self.pair.mask is not None

    def table(self, threshold: float):
        """`ccdnn.measure.table.Table`, see `ccdnn.measure.similarity_table`."""
        return similarity_table(self.pair, self.slices, overlap_by_slice(self.pair, threshold))


class SimilarityRun:
    """Measures one slice per turn of the event loop, so that the application is never blocked for longer."""

    def __init__(self, choices: SimilarityChoices, onProgress, onEnd):
        """
        :param onProgress: called with (slices done, total slices).
        :param onEnd: called with the SimilarityResult, or with None when an exception is about to be raised; not after `stop`.
        Raises InputError; nothing is started then.
        """
        self.choices, self._onProgress, self._onEnd = choices, onProgress, onEnd
        self._pair, self._stamp = choices.pair(), choices.stamp()
        self._waiting = similarity_by_slice(self._pair)
        self._slices: list[SliceSimilarity] = []
        self.total = len(self._pair.image.array)
        self._timer = qt.QTimer()
        self._timer.interval = 0
        self._timer.timeout.connect(self._step)
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def _step(self) -> None:
        try:
            self._slices.append(next(self._waiting))
        except Exception:  # a program error or lack of memory; do not repeat it
            self.stop()
            self._onEnd(None)
            raise
        if len(self._slices) < self.total:
            self._onProgress(len(self._slices), self.total)
        else:
            self.stop()
            self._onEnd(SimilarityResult(self._pair, self._slices, self._stamp))
