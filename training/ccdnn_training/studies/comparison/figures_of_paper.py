"""The paper's results for the same comparison in twelve volunteers, shown next to ours and always marked as the paper's."""

from __future__ import annotations

from collections.abc import Mapping

# Table 1: method → metric → mean, standard deviation.
TABLE_1: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "CC-DNN": {"MSE": (1.558e-3, 0.482e-3), "PSNR": (28.34, 1.113), "SSIM": (0.822, 0.023), "MS-SSIM": (0.881, 0.020)},
    "Multimodal": {"MSE": (3.230e-3, 0.501e-3), "PSNR": (26.29, 0.600), "SSIM": (0.776, 0.021), "MS-SSIM": (0.837, 0.018)},
    "Replica": {"MSE": (3.141e-3, 0.556e-3), "PSNR": (26.43, 0.652), "SSIM": (0.778, 0.024), "MS-SSIM": (0.845, 0.022)},
    "Pix2pix": {"MSE": (1.895e-3, 0.454e-3), "PSNR": (27.45, 0.967), "SSIM": (0.796, 0.021), "MS-SSIM": (0.861, 0.021)},
}

# Section 3.2, Figure 8: CNR of CC-DNN's STIR divided by that of the acquired one.
CNR_RATIOS: Mapping[str, float] = {
    "CNR cartilage–bone": 3.6,
    "CNR cartilage–meniscus": 1.9,
    "CNR muscle–bone": 3.88,
    "CNR muscle–fat": 2.46,
    "CNR muscle–meniscus": 1.85,
}

SECONDS_A_SLICE = 0.14  # CC-DNN on a GeForce GTX 1080 Ti
