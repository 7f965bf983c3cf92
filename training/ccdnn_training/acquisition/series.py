"""One acquired series: the ideal signal of an anatomy, then every effect in the order in which a scanner adds it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ccdnn_training.acquisition.bias_field import BiasField
from ccdnn_training.acquisition.chemical_shift import ChemicalShift, fat_phase
from ccdnn_training.acquisition.coil_field import CoilField
from ccdnn_training.acquisition.fat_level import FatLevel
from ccdnn_training.acquisition.flow import Flow
from ccdnn_training.acquisition.misregistration import Misregistration
from ccdnn_training.acquisition.placement import Placement
from ccdnn_training.acquisition.reslicing import Reslicing
from ccdnn_training.acquisition.saturation_band import SaturationBand
from ccdnn_training.acquisition.scanner_scale import ScannerScale
from ccdnn_training.acquisition.spikes import Spikes
from ccdnn_training.acquisition.susceptibility import SusceptibilityVoids
from ccdnn_training.acquisition.thermal_noise import ThermalNoise
from ccdnn_training.acquisition.truncation import Truncation
from ccdnn_training.phantom.anatomy import Anatomy
from ccdnn_training.physics.protocol import Protocol, Sequence
from ccdnn_training.physics.tissues import TissueValues

# Effects of one well-calibrated scanner, as in the paper's study.
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
# Further effects in studies from any hospital, see `draw_wide_study`.
WIDE_EFFECTS = ("coil_field", "fat_level", "saturation_band", "placement", "reslicing", "spikes")
CHANCE_OF_BAND, CHANCE_OF_RESLICING = 0.15, 0.2  # per input


@dataclass(frozen=True)
class Scan:
    """How one series is acquired: its sequence and the drawn parameters of each effect, None if the effect is off.

    Drawing is separate from applying, so that a simulated series can be made again from its record.
    """

    sequence: Sequence
    fat_phase: bool = False
    tesla: float = 3.0
    fat_level: FatLevel | None = None
    chemical_shift: ChemicalShift | None = None
    flow: Flow | None = None
    susceptibility: SusceptibilityVoids | None = None
    misregistration: Misregistration | None = None
    placement: Placement | None = None
    spikes: Spikes | None = None
    truncation: Truncation | None = None
    saturation_band: SaturationBand | None = None
    coil_field: CoilField | None = None
    bias_field: BiasField | None = None
    reslicing: Reslicing | None = None
    thermal_noise: ThermalNoise | None = None
    scanner_scale: ScannerScale | None = None

    @classmethod
    def draw(cls, contrast: str, sequence: Sequence, rng: np.random.Generator, effects: Collection[str] = EFFECTS) -> Scan:
        """Draw every effect of `EFFECTS`, then drop those not in `effects`: switching one off leaves the others unchanged.

        Raises:
            ValueError: an effect does not exist.
        """
        unknown = set(effects) - set(EFFECTS)
        if unknown:
            raise ValueError(f"Unknown effect: {', '.join(sorted(unknown))}; choose from {', '.join(EFFECTS)}.")
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
        return drawn.without(name for name in EFFECTS if name not in effects)

    def without(self, effects: Iterable[str]) -> Scan:
        """The same scan with these effects off."""
        off: dict[str, Any] = {name: False if name == "fat_phase" else None for name in effects}
        return replace(self, **off)

    def acquire(self, anatomy: Anatomy, values: TissueValues) -> np.ndarray:
        """The series (slice, row, column) float32 of `anatomy`, whose tissues have these values."""
        image = self._moved(self._of_voxels(anatomy, values), anatomy.spacing)
        if self.truncation:
            image = self.truncation.apply(image)
        for shading in (self.saturation_band, self.coil_field, self.bias_field):
            if shading:
                image = shading.apply(image)
        if self.reslicing:
            image = self.reslicing.sample(image, anatomy.spacing)
        image = self.thermal_noise.apply(image) if self.thermal_noise else np.abs(image)
        if self.reslicing:
            image = self.reslicing.interpolate(image, anatomy.shape[self.reslicing.axis], anatomy.spacing)
        if self.scanner_scale:
            image = self.scanner_scale.apply(image)
        return image.astype(np.float32)

    def record(self) -> dict[str, Any]:
        """Everything needed to make the series again from the same anatomy and tissue values, as plain JSON data."""
        return asdict(self)

    def _of_voxels(self, anatomy: Anatomy, values: TissueValues) -> np.ndarray:
        """The signal of every voxel, real or complex, including the effects of flow and field."""
        water = self.sequence.signal(values.water_density, values.water_t1, values.water_t2, values.water_t2_star)
        fat_signal = self.sequence.signal(values.fat_density, values.fat_t1, values.fat_t2, values.fat_t2_star)
        if self.flow:
            water[list(anatomy.vessels)] *= self.flow.brightness
        fat = anatomy.mixture(fat_signal)
        if self.fat_level:
            fat = self.fat_level.apply(fat)
        if self.chemical_shift:
            fat = self.chemical_shift.apply(fat)
        image = anatomy.mixture(water) + fat * (fat_phase(self.sequence.te, self.tesla) if self.fat_phase else 1)
        if self.flow:
            image = self.flow.apply(image, anatomy.mixture_of(water, anatomy.arteries))
        if self.susceptibility:
            image = self.susceptibility.apply(image)
        if self.spikes:
            image = self.spikes.apply(image)
        return image

    def _moved(self, image: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
        if self.misregistration:
            image = _on_parts(self.misregistration.apply, image)
        if self.placement:
            image = _on_parts(partial(self.placement.apply, spacing=spacing), image)
        return image


def draw_study(protocol: Protocol, rng: np.random.Generator, effects: Collection[str] = EFFECTS) -> dict[str, Scan]:
    """All series of a study on one well-calibrated scanner, contrast → scan."""
    return {contrast: Scan.draw(contrast, sequence, rng, effects) for contrast, sequence in protocol.items()}


def draw_wide_study(
    protocol: Protocol, tesla: float, rng: np.random.Generator, effects: Collection[str] = (*EFFECTS, *WIDE_EFFECTS)
) -> dict[str, Scan]:
    """All series of a study from any hospital.

    T1-w, onto whose grid a study is resampled, and STIR, the target, are aligned with the anatomy; T2-w and GRE are moved by
    `placement` instead of `misregistration`. All series share coil and field. The STIR has no ghosts, since a network should not
    learn them.

    Args:
        tesla: the scanner's field.
        effects: those of `EFFECTS` and `WIDE_EFFECTS` that are on.
    """
    study_rng, *series_rngs = rng.spawn(1 + len(protocol))
    coil = CoilField.draw(study_rng)
    drawn = {}
    for (contrast, sequence), series_rng in zip(protocol.items(), series_rngs, strict=True):
        of_scanner = Scan.draw(contrast, sequence, series_rng)
        flow, truncation = of_scanner.flow, of_scanner.truncation
        assert flow is not None and truncation is not None  # `draw` has all effects
        # Fat is displaced along the remaining axis.
        shift = ChemicalShift.draw(series_rng, readout_axis=-3 - truncation.phase_axis, tesla=tesla)
        wide = replace(of_scanner, tesla=tesla, coil_field=coil, chemical_shift=shift, misregistration=None)
        if contrast == "stir":
            wide = replace(wide, flow=replace(flow, amplitude=0.0))
        else:
            wide = replace(wide, **_draw_of_input(contrast, series_rng))
        drawn[contrast] = wide.without(name for name in (*EFFECTS, *WIDE_EFFECTS) if name not in effects)
    return drawn


def _draw_of_input(contrast: str, rng: np.random.Generator) -> Mapping[str, Any]:
    """Further effects on an input. All are drawn even if unused, so that one effect's chance does not change the others."""
    fat_level, band, spikes = FatLevel.draw(rng), SaturationBand.draw(rng), Spikes.draw(rng)
    placement, reslicing, noise = Placement.draw(rng), Reslicing.draw(rng), ThermalNoise.draw_wide(rng)
    has_band, is_resliced = rng.random(2) < (CHANCE_OF_BAND, CHANCE_OF_RESLICING)
    return {
        "fat_level": fat_level,
        "saturation_band": band if has_band else None,
        "spikes": spikes,
        "placement": placement if contrast != "t1" else None,
        "reslicing": reslicing if is_resliced else None,
        "thermal_noise": noise,
    }


def _on_parts(function: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
    """`function` of a real image, or of both parts of a complex one."""
    if np.iscomplexobj(image):
        return function(image.real) + 1j * function(image.imag)
    return function(image)
