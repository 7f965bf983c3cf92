"""The volumes given to `ccdnn measure`, with its two STIRs on one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ccdnn.measure.profile import Image
from ccdnn.resample import resample_onto
from ccdnn.volume import Grid, Volume


@dataclass(frozen=True, eq=False)
class Images:
    """The given volumes.

    Args:
        own: the volumes on their own grids.
        shared: the STIRs on one grid, the acquired one's if present.
        known: mask of the grid's voxels that the synthetic STIR covers; None for all.
        remark: a sentence on the resampling; "" if there was none.
    """

    own: Mapping[Image, Volume]
    shared: Mapping[Image, Volume]
    known: np.ndarray | None = None
    remark: str = ""

    @property
    def grid(self) -> Grid:
        return (self.shared.get(Image.ACQUIRED) or self.shared[Image.SYNTHETIC]).grid

    @property
    def are_a_pair(self) -> bool:
        return Image.ACQUIRED in self.shared and Image.SYNTHETIC in self.shared


def on_one_grid(volumes: Mapping[Image, Volume]) -> Images:
    """The volumes, with the synthetic STIR on the acquired one's grid if both are present.

    Raises:
        InputError: the two do not overlap.
    """
    if Image.ACQUIRED not in volumes or Image.SYNTHETIC not in volumes:
        return Images(volumes, volumes)
    acquired, synthetic = volumes[Image.ACQUIRED], volumes[Image.SYNTHETIC]
    resampled = resample_onto(synthetic, acquired.grid)
    if not resampled.changed:
        return Images(volumes, volumes)
    remark = (
        f"The synthetic STIR ({synthetic.grid}) was resampled onto the grid of the acquired one ({acquired.grid}), of which it "
        f"covers {resampled.coverage:.1%}."
    )
    return Images(volumes, {**volumes, Image.SYNTHETIC: resampled.volume}, resampled.covered, remark)
