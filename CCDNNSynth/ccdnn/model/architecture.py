"""Constants of CC-DNN (Kim et al., MRM 2020, section 2.5 and Figure 2), which model cards use without importing torch.

The network itself is in `ccdnn.model.network`.
"""

from __future__ import annotations

from collections.abc import Sequence

LEAKY_SLOPE = 0.1
BATCH_NORM_EPS = 1e-3

BLOCKS = 3  # residual blocks of each H of Eq. 4

# Dilations of an H: for each block, those of its first and second convolution.
Dilations = Sequence[Sequence[int]]
UNDILATED: tuple[tuple[int, int], ...] = ((1, 1),) * BLOCKS


def receptive_radius(fusion_dilations: Dilations = UNDILATED) -> int:
    """How many pixels away an input can affect an output pixel.

    Stem, branch and fusion follow each other, and each 3×3 convolution reaches as far as its dilation.

    Examples:
        >>> receptive_radius()  # the paper's receptive field is 27 × 27 pixels
        13
        >>> receptive_radius(((1, 1), (2, 2), (5, 5)))
        23
    """
    return 1 + sum(map(sum, UNDILATED)) + sum(map(sum, fusion_dilations))
