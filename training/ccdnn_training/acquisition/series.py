"""One acquired series: the ideal signal of an anatomy, then every effect in the order a scanner adds it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ccdnn_training.acquisition.bias_field import BiasField
from ccdnn_training.acquisition.chemical_shift import ChemicalShift, fat_phase
from ccdnn_training.acquisition.flow import Flow
from ccdnn_training.acquisition.misregistration import Misregistration
from ccdnn_training.acquisition.scanner_scale import ScannerScale
from ccdnn_training.acquisition.susceptibility import SusceptibilityVoids
from ccdnn_training.acquisition.thermal_noise import ThermalNoise
from ccdnn_training.acquisition.truncation import Truncation
from ccdnn_training.physics.protocol import Sequence
from ccdnn_training.physics.tissues import TISSUE_NAMES, TissueValues

EFFECTS = (
    "chemical_shift",
    "fat_phase",
    "flow",
    "susceptibility",
    "misregistration",
    "truncation",
    "bias_field",
    "thermal_noise",
    "scanner_scale",
)
_VESSELS = [TISSUE_NAMES.index(name) for name in ("artery", "vein")]
_ARTERY = TISSUE_NAMES.index("artery")


@dataclass(frozen=True)
class Acquisition:
    """What happens to one series: its sequence and the drawn parameters of each effect, None where it is off.

    Kept apart from applying it, so that a simulated series can be made again from its record.
    """

    sequence: Sequence
    fat_phase: bool
    chemical_shift: ChemicalShift | None
    flow: Flow | None
    susceptibility: SusceptibilityVoids | None
    misregistration: Misregistration | None
    truncation: Truncation | None
    bias_field: BiasField | None
    thermal_noise: ThermalNoise | None
    scanner_scale: ScannerScale | None

    @classmethod
    def draw(cls, contrast: str, sequence: Sequence, rng: np.random.Generator, effects: Collection[str] = EFFECTS) -> Acquisition:
        """Draw every effect, then drop those not in `effects`: switching one off leaves the others as they were.

        Raises:
            ValueError: an effect that does not exist.
        """
        unknown = set(effects) - set(EFFECTS)
        if unknown:
            raise ValueError(f"There is no effect called {', '.join(sorted(unknown))}; choose among {', '.join(EFFECTS)}.")
        phase_axis = int(rng.choice((-1, -2)))
        is_gradient_echo = sequence.kind == "gradient_echo"
        drawn = cls(
            sequence=sequence,
            fat_phase=is_gradient_echo,
            chemical_shift=ChemicalShift.draw(rng, readout_axis=-3 - phase_axis),
            flow=Flow.draw(rng, contrast, phase_axis),
            susceptibility=SusceptibilityVoids.draw(rng) if is_gradient_echo else None,
            misregistration=Misregistration.draw(rng),
            truncation=Truncation.draw(rng, phase_axis),
            bias_field=BiasField.draw(rng),
            thermal_noise=ThermalNoise.draw(rng, contrast),
            scanner_scale=ScannerScale.draw(rng),
        )
        off = {name: None for name in EFFECTS if name not in effects}
        if "fat_phase" in off:
            off["fat_phase"] = False
        return replace(drawn, **off)

    def acquire(self, amounts: np.ndarray, values: TissueValues) -> np.ndarray:
        """The series (slice, row, column) float32, from tissue amounts (tissue, slice, row, column) and tissue values."""
        water, fat, artery = self._ideal(amounts, values)
        if self.chemical_shift:
            fat = self.chemical_shift.apply(fat)
        image = water + fat * (fat_phase(self.sequence.te) if self.fat_phase else 1)
        if self.flow:
            image = self.flow.apply(image, artery)
        if self.susceptibility:
            image = self.susceptibility.apply(image)
        if self.misregistration:
            image = _on_parts(self.misregistration.apply, image)
        if self.truncation:
            image = self.truncation.apply(image)
        if self.bias_field:
            image = self.bias_field.apply(image)
        image = self.thermal_noise.apply(image) if self.thermal_noise else np.abs(image)
        if self.scanner_scale:
            image = self.scanner_scale.apply(image)
        return image.astype(np.float32)

    def record(self) -> dict[str, Any]:
        """Everything needed to make the series again from the same anatomy and tissue values, as plain JSON data."""
        return asdict(self)

    def _ideal(self, amounts: np.ndarray, values: TissueValues) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        water = self.sequence.signal(values.water_density, values.water_t1, values.water_t2, values.water_t2_star)
        fat = self.sequence.signal(values.fat_density, values.fat_t1, values.fat_t2, values.fat_t2_star)
        if self.flow:
            water[_VESSELS] *= self.flow.brightness
        per_voxel = np.tensordot(np.stack([water, fat]).astype(np.float32), amounts.astype(np.float32), axes=1)
        return per_voxel[0], per_voxel[1], np.float32(water[_ARTERY]) * amounts[_ARTERY].astype(np.float32)


def _on_parts(function, image: np.ndarray) -> np.ndarray:
    if np.iscomplexobj(image):
        return function(image.real) + 1j * function(image.imag)
    return function(image)
