"""The layers of CC-DNN (Kim et al., MRM 2020, section 2.5 and Figure 2), without the library that computes them.

    Î_STIR = C₁¹( H_cat( concat( H_T1(I_T1), H_T2(I_T2), H_GRE(I_GRE) ) ) )                         (Eq. 4)
    H(x)   = x + R(R(R(x)))
    R(x)   = x + [conv3×3(c) · BN · σ · conv3×3(c) · BN](x),   c = number of maps of x              (Eq. 5)

Each branch begins with a 3×3 stem that maps one contrast to `branch_width` feature maps; σ is LeakyReLU(0.1). Batch normalisation
follows every convolution but the last, with the authors' Keras constants (eps 1e-3, momentum 0.99).

The receptive field of the paper's network is 27 × 27 pixels. Dilated convolutions in the fusion H_cat can widen it with the same
number of weights and operations. Dilations of 1 throughout give the paper's network.

A second head, which the paper does not have, may estimate the error: a layer of `uncertainty_maps` maps with the activation σ, then
one map, the logarithm of the error's scale (see `ccdnn.model.uncertainty`). Both are 1×1 convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LEAKY_SLOPE = 0.1
BATCH_NORM_EPS = 1e-3

BLOCKS = 3  # residual blocks of each H of Eq. 4

# Dilations of an H: for each block, those of its first and second convolution.
Dilations = Sequence[Sequence[int]]
UNDILATED: tuple[tuple[int, int], ...] = ((1, 1),) * BLOCKS

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")  # the tensors of a batch normalisation


@dataclass(frozen=True)
class Convolution:
    """A 3×3 convolution without bias, and the batch normalisation after it, by the names of their tensors in a model file."""

    name: str
    norm: str
    maps_in: int
    maps_out: int
    dilation: int = 1

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{self.name}.weight", (self.maps_out, self.maps_in, 3, 3)
        yield from ((f"{self.norm}.{tensor}", (self.maps_out,)) for tensor in BATCH_NORM)


Block = tuple[Convolution, Convolution]


@dataclass(frozen=True)
class Architecture:
    """A CC-DNN's layers; a model file has the tensors of all of them, and no others.

    Args:
        branch_width: feature maps of each contrast's branch; the fusion has `contrasts` times as many (64 and 192 in the paper).
        contrasts: number of input images, in the card's order.
        fusion_dilations: of the two convolutions in each of the fusion's three blocks.
        uncertainty_maps: of the second head; 0 without one.
    """

    branch_width: int = 64
    contrasts: int = 3
    fusion_dilations: Dilations = UNDILATED
    uncertainty_maps: int = 0

    def __str__(self) -> str:
        dilations = [list(pair) for pair in self.fusion_dilations]
        second = f" and {self.uncertainty_maps} maps for the uncertainty" if self.uncertainty_maps else ""
        return f"{self.branch_width} maps per branch, {self.contrasts} contrasts, the fusion dilations {dilations}{second}"

    @property
    def fusion_width(self) -> int:
        return self.contrasts * self.branch_width

    @property
    def stems(self) -> list[Convolution]:
        """The first convolution of each branch."""
        return [Convolution(f"branches.{c}.0", f"branches.{c}.1", 1, self.branch_width) for c in range(self.contrasts)]

    @property
    def branches(self) -> list[list[Block]]:
        """The residual blocks of each branch."""
        return [_blocks(f"branches.{c}.2", self.branch_width, UNDILATED) for c in range(self.contrasts)]

    @property
    def fusion(self) -> list[Block]:
        """The residual blocks of the fusion."""
        return _blocks("fusion", self.fusion_width, self.fusion_dilations)

    @property
    def receptive_radius(self) -> int:
        """How many pixels away an input can affect an output pixel.

        Stem, branch and fusion follow each other, and each 3×3 convolution reaches as far as its dilation.

        Examples:
            >>> Architecture().receptive_radius  # the paper's receptive field is 27 × 27 pixels
            13
            >>> Architecture(fusion_dilations=((1, 1), (2, 2), (5, 5))).receptive_radius
            23
        """
        return 1 + sum(map(sum, UNDILATED)) + sum(map(sum, self.fusion_dilations))

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of every tensor in a model file."""
        convolutions = [*self.stems, *(c for blocks in (*self.branches, self.fusion) for block in blocks for c in block)]
        shapes = dict(entry for convolution in convolutions for entry in convolution.shapes())
        shapes |= {"head.weight": (1, self.fusion_width, 1, 1), "head.bias": (1,)}
        if maps := self.uncertainty_maps:
            shapes |= {"uncertainty.0.weight": (maps, self.fusion_width, 1, 1), "uncertainty.0.bias": (maps,)}
            shapes |= {"uncertainty.2.weight": (1, maps, 1, 1), "uncertainty.2.bias": (1,)}
        return shapes


def _blocks(name: str, width: int, dilations: Dilations) -> list[Block]:
    return [
        (
            Convolution(f"{name}.blocks.{n}.body.0", f"{name}.blocks.{n}.body.1", width, width, first),
            Convolution(f"{name}.blocks.{n}.body.3", f"{name}.blocks.{n}.body.4", width, width, second),
        )
        for n, (first, second) in enumerate(dilations)
    ]
