"""Table 1 of the paper: its columns, with the format of their numbers, and its figures, always marked as the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ccdnn_training.reporting import plus_minus


@dataclass(frozen=True)
class Metric:
    """A column of Table 1 and the format of its numbers."""

    name: str
    title: str
    digits: int
    factor: float = 1.0
    less_is_better: bool = False

    def text(self, mean: float, sd: float, sign: str = "") -> str:
        """Mean ± standard deviation.

        Example:
            >>> Metric("MSE", "MSE · 10³", 3, factor=1e3).text(1.558e-3, 0.482e-3)
            '1.558 ± 0.482'
        """
        return plus_minus(mean * self.factor, sd * self.factor, self.digits, sign)

    def ahead(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """By how much `one` is better."""
        return other - one if self.less_is_better else one - other


METRICS = (
    Metric("MSE", "MSE · 10³", 3, factor=1e3, less_is_better=True),
    Metric("PSNR", "PSNR (dB)", 2),
    Metric("SSIM", "SSIM", 3),
    Metric("MS-SSIM", "MS-SSIM", 3),
)

VOLUNTEERS = 12

# Method → metric → mean, standard deviation over the volunteers.
FIGURES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "CC-DNN": {"MSE": (1.558e-3, 0.482e-3), "PSNR": (28.34, 1.113), "SSIM": (0.822, 0.023), "MS-SSIM": (0.881, 0.020)},
    "Multimodal": {"MSE": (3.230e-3, 0.501e-3), "PSNR": (26.29, 0.600), "SSIM": (0.776, 0.021), "MS-SSIM": (0.837, 0.018)},
    "Replica": {"MSE": (3.141e-3, 0.556e-3), "PSNR": (26.43, 0.652), "SSIM": (0.778, 0.024), "MS-SSIM": (0.845, 0.022)},
    "Pix2pix": {"MSE": (1.895e-3, 0.454e-3), "PSNR": (27.45, 0.967), "SSIM": (0.796, 0.021), "MS-SSIM": (0.861, 0.021)},
}
