"""Image similarity of the scene's volumes: what is measured, one slice at a time, and whether a result still tells of the scene."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import qt
from slicer.i18n import tr as _

from ccdnn.errors import InputError
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.similarity import ScaledPair, scaled_pair, similarity_by_slice
from ccdnn.measure.similarity_table import overlap_by_slice, similarity_table
from CCDNNSynthLib.Scene.Regions import SegmentRegion
from CCDNNSynthLib.Scene.SceneVolumes import gridOf, voxelsOf, voxelsOn

# What the volumes are called in tables: by what they are, since their own names may hold a patient's.
_NAMES = ("synthetic STIR", "acquired STIR")


@dataclass(frozen=True)
class SimilarityChoices:
    """Which volumes, inside which segment (of no segmentation, or "" of any, for everywhere), on which scale."""

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
        """Copies of the voxels, the synthetic ones on the grid of the acquired, on one scale. What happens to the nodes later does
        not change them.

        Raises:
            InputError: see `SceneVolumes.voxelsOn` and `ccdnn.measure.similarity.scaled_pair`; or a segment that is gone or empty.
        """
        array, covered = voxelsOn(self.acquired, self.synthetic)
        reference = voxelsOf(self.acquired)
        return scaled_pair(array, reference, self.scaling, names=_NAMES, mask=self._mask(reference.shape), known=covered)

    def stamp(self) -> str:
        """The same text as long as a measurement would give the same numbers, also after the scene was saved and loaded.

        "" where nothing can be measured.
        """
        try:
            grid, own = gridOf(self.acquired), gridOf(self.synthetic, self.acquired)
            # What lies between the two; a move of both together changes nothing. + 0.0 makes −0 a 0.
            between = np.round(np.linalg.inv(grid.ijk_to_ras) @ own.ijk_to_ras, 4) + 0.0
            parts = [np.array([*grid.shape, *own.shape]), between, voxelsOf(self.acquired), voxelsOf(self.synthetic)]
            mask = self._mask(grid.shape)
        except InputError:
            return ""
        check = zlib.crc32(self.scaling.value.encode())
        for part in parts if mask is None else [*parts, mask]:
            check = zlib.crc32(np.ascontiguousarray(part).view(np.uint8).reshape(-1), check)
        return f"{check:08x}"

    def _mask(self, shape):
        """(slice, row, column) bool on the grid of the acquired volume; None for everywhere."""
        if not self.segment:
            return None
        segment = self.segmentation.GetSegmentation().GetSegment(self.segment)
        if segment is None:
            raise InputError(_("The segment chosen as the mask is no longer there; choose another."))
        mask = np.zeros(shape, bool)
        mask.reshape(-1)[SegmentRegion(self.segmentation, self.segment).voxels(self.acquired)] = True
        if not mask.any():
            raise InputError(
                _("The segment {segment} holds no voxel of {volume}; draw it, or choose another.").format(
                    segment=segment.GetName(), volume=self.acquired.GetName()
                )
            )
        return mask


@dataclass(frozen=True)
class SimilarityResult:
    """What was measured, kept so that another threshold needs no new measurement."""

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
    """Measures one slice each time the application has nothing else to do, so that the window is never blocked for longer."""

    def __init__(self, choices: SimilarityChoices, onProgress, onEnd):
        """
        :param onProgress: called with the slices done and their total.
        :param onEnd: called with the SimilarityResult, or with None when an exception is about to be raised; not after `stop`.
        Raises InputError, with nothing begun.
        """
        self.choices, self._onProgress, self._onEnd = choices, onProgress, onEnd
        self._pair, self._stamp = choices.pair(), choices.stamp()
        self._waiting, self._slices = similarity_by_slice(self._pair), []
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
        except Exception:  # a fault of the program, or no memory: once is enough
            self.stop()
            self._onEnd(None)
            raise
        if len(self._slices) < self.total:
            self._onProgress(len(self._slices), self.total)
        else:
            self.stop()
            self._onEnd(SimilarityResult(self._pair, self._slices, self._stamp))
