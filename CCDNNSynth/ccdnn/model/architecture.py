"""The figures of CC-DNN (Kim et al., MRM 2020, section 2.5 and Figure 2) that need no library: what a card states and checks.

`ccdnn.model.network` is the network itself.
"""

from __future__ import annotations

from collections.abc import Sequence

LEAKY_SLOPE = 0.1
BATCH_NORM_EPS = 1e-3

BLOCKS = 3  # residual blocks of each H of Eq. 4

# Dilations of an H: for each block, that of its first and of its second convolution.
Dilations = Sequence[Sequence[int]]
UNDILATED: tuple[tuple[int, int], ...] = ((1, 1),) * BLOCKS


def receptive_radius(fusion_dilations: Dilations = UNDILATED) -> int:
    """How many pixels away an input can change an output pixel.

    Stem, branch and fusion follow each other, and each 3×3 convolution sees as far as its dilation.

    Examples:
        >>> receptive_radius()  # the paper's network sees 27 × 27 pixels
        13
        >>> receptive_radius(((1, 1), (2, 2), (5, 5)))
        23
    """
    return 1 + sum(map(sum, UNDILATED)) + sum(map(sum, fusion_dilations))
