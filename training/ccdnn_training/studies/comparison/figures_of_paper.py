"""The paper's other results in twelve volunteers, shown next to ours and always marked as the paper's."""

from __future__ import annotations

from collections.abc import Mapping

# Section 3.2, Figure 8: CNR of CC-DNN's STIR divided by that of the acquired one.
CNR_RATIOS: Mapping[str, float] = {
    "CNR cartilage–bone": 3.6,
    "CNR cartilage–meniscus": 1.9,
    "CNR muscle–bone": 3.88,
    "CNR muscle–fat": 2.46,
    "CNR muscle–meniscus": 1.85,
}

SECONDS_A_SLICE = 0.14  # CC-DNN on a GeForce GTX 1080 Ti
