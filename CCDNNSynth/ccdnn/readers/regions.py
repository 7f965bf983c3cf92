"""What readers score, as in Table 2 of the paper: the similarity of synthetic and acquired STIR in 19 regions, from 1 to 5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """A region of the knee; `name` alone is not unique, since cartilage and marrow are scored at the same places."""

    group: str
    name: str

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"


# Places by their usual abbreviations: femoral condyles, tibial plateaus, patella, trochlea.
_PLACES = ("MFC", "LFC", "MTP", "LTP", "PAT", "TRO")
PLACES_IN_WORDS: Mapping[str, str] = {
    "MFC": "medial femoral condyle",
    "LFC": "lateral femoral condyle",
    "MTP": "medial tibial plateau",
    "LTP": "lateral tibial plateau",
    "PAT": "patella",
    "TRO": "trochlea",
    "ACL": "anterior cruciate ligament",
    "PCL": "posterior cruciate ligament",
}

REGIONS: tuple[Region, ...] = (
    *(Region("Cartilage", place) for place in _PLACES),
    Region("Meniscus", "medial"),
    Region("Meniscus", "lateral"),
    Region("Ligament", "ACL"),
    Region("Ligament", "PCL"),
    *(Region("Bone marrow", place) for place in _PLACES),
    Region("Tendon", "quadriceps"),
    Region("Tendon", "patellar"),
    Region("Fat pad", "infrapatellar"),
)

SCORES: Mapping[int, str] = {1: "bad", 2: "poor", 3: "fair", 4: "good", 5: "excellent"}
