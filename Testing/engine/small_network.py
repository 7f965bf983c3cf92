"""A network small enough for every test that still shows every mistake: its batch normalisation has seen images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import small_study
import torch
import torch.nn.functional as F
from torch import nn

from ccdnn.model.architecture import UNDILATED, Dilations
from ccdnn.model.file import Model
from ccdnn.model.network import CCDNN
from ccdnn.model.saving import weights_of
from ccdnn.model.uncertainty import RegionError, Uncertainty


def images(slices: int, rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """(3, slice, row, column) float32, smooth structure from 0 to about 1."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(3, slices, -(-rows // 6) + 1, -(-columns // 6) + 1, generator=generator)
    return F.interpolate(coarse, size=(rows, columns), mode="bilinear").numpy()


DILATED = ((1, 2), (2, 4), (5, 1))


def network(width: int = 4, fusion_dilations: Dilations = UNDILATED, uncertainty_maps: int = 0) -> CCDNN:
    torch.manual_seed(1)
    net = CCDNN(width, fusion_dilations=fusion_dilations, uncertainty_maps=uncertainty_maps)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    with torch.no_grad():
        net.train()(torch.from_numpy(images(4, 48, 48, seed=9).swapaxes(0, 1).copy()))
    return net.eval().requires_grad_(False)


def model(width: int = 4, fusion_dilations: Dilations = UNDILATED, **card_changes) -> Model:
    return model_with(network(width, fusion_dilations), **card_changes)


def model_with(net: CCDNN, **card_changes) -> Model:
    if maps := net.architecture.uncertainty_maps:
        card_changes = {"uncertainty": uncertainty(maps), **card_changes}
    card = small_study.card(branch_width=net.branch_width, fusion_dilations=net.fusion_dilations, **card_changes)
    return Model(card, weights_of(net), Path("tiny.safetensors"), "")


def uncertainty(maps: int = 3) -> Uncertainty:
    return Uncertainty(maps, {"": (0.7, 1.6, 3.0), "gre": (0.8, 1.8, 3.5)}, RegionError(2.0, 0.5, 40.0), "nobody", "none")


def plain(net: CCDNN, contrasts: np.ndarray) -> np.ndarray:
    """What the network itself makes of (3, slice, row, column): no folding, batches, tiles or skipping."""
    with torch.inference_mode():
        return net(torch.from_numpy(np.ascontiguousarray(contrasts.swapaxes(0, 1))))[:, 0].numpy()


def plain_log_scale(net: CCDNN, contrasts: np.ndarray) -> np.ndarray:
    """What the network's second head makes of (3, slice, row, column)."""
    with torch.inference_mode():
        return net.uncertainty(net.features(torch.from_numpy(np.ascontiguousarray(contrasts.swapaxes(0, 1)))))[:, 0].numpy()
