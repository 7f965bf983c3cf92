"""How a series was acquired: the parameters of its sequence, and the label, unit and header entry of those that people compare."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Technique(str, Enum):
    """What refocuses the echo."""

    SPIN_ECHO = "spin echo"
    GRADIENT_ECHO = "gradient echo"
    BOTH = "spin and gradient echo"


@dataclass(frozen=True)
class Acquisition:
    """How a series was acquired, in one vocabulary for classic and Enhanced DICOM, BIDS sidecars and our own headers.

    The names of the fields are also those in a model card and in a message to the worker. None means "not stated", never a default.

    Args:
        tr_ms, te_ms, ti_ms: repetition, echo and inversion time in ms.
        flip_angle_deg: excitation flip angle.
        field_strength_t: main field in tesla.
        technique: spin echo, gradient echo or both.
        inversion: an inversion pulse precedes the readout (MPRAGE, STIR, FLAIR).
        fat_suppressed: fat is saturated, not excited, or separated out.
        echo_planar: an EPI readout.
        acquisition_type: "2D" or "3D".
        echo_train_length: echoes read per excitation.
        b_value: diffusion weighting in s/mm².
        image_type: DICOM Image Type, such as ("ORIGINAL", "PRIMARY", "M", "SE").
        contrast: the weighting stated by an Enhanced file, DICOM Acquisition Contrast ("T1", "T2", "STIR", …).
        sequence_name: the vendor's name of the sequence, such as "*tse2d1_5".
        unreadable: stated values that cannot be read, quoted, such as "EchoTime is “80,0”"; "" if there are none.
    """

    tr_ms: float | None = None
    te_ms: float | None = None
    ti_ms: float | None = None
    flip_angle_deg: float | None = None
    field_strength_t: float | None = None
    technique: Technique | None = None
    inversion: bool | None = None
    fat_suppressed: bool | None = None
    echo_planar: bool | None = None
    acquisition_type: str | None = None
    echo_train_length: float | None = None
    b_value: float | None = None
    image_type: tuple[str, ...] = ()
    contrast: str | None = None
    sequence_name: str | None = None
    unreadable: str = ""

    def header_entries(self) -> dict[str, str]:
        """The `PARAMETERS` that are known, as entries of an image file's header, which `ccdnn.sidecar` reads.

        >>> Acquisition(tr_ms=500, flip_angle_deg=25).header_entries()
        {'RepetitionTime_ms': '500', 'FlipAngle_deg': '25'}
        """
        values = {parameter.header_entry: parameter.of(self) for parameter in PARAMETERS}
        return {entry: f"{value:g}" for entry, value in values.items() if value is not None}


@dataclass(frozen=True)
class Parameter:
    """A parameter by which people compare two acquisitions.

    Args:
        name: of the field of `Acquisition`.
        label: the short name to show.
        words: the name in full.
        unit: as written after a value.
        header_entry: its name in the header of an image file that we write.
    """

    name: str
    label: str
    words: str
    unit: str
    header_entry: str

    def of(self, acquisition: Acquisition) -> float | None:
        """The value; None if it is not stated."""
        return getattr(acquisition, self.name)

    def with_unit(self, number: float | str) -> str:
        """The number, or the text that stands for one, with the unit.

        >>> TR.with_unit(656.0), TR.with_unit("400 to 700"), FLIP_ANGLE.with_unit(25)
        ('656 ms', '400 to 700 ms', '25°')
        """
        text = number if isinstance(number, str) else f"{number:.5g}"
        return text + ("" if self.unit == "°" else " ") + self.unit

    def labelled(self, number: float | str) -> str:
        """The label, the number and the unit, such as "TR 656 ms"."""
        return f"{self.label} {self.with_unit(number)}"


TR = Parameter("tr_ms", "TR", "repetition time", "ms", "RepetitionTime_ms")
TE = Parameter("te_ms", "TE", "echo time", "ms", "EchoTime_ms")
TI = Parameter("ti_ms", "TI", "inversion time", "ms", "InversionTime_ms")
FLIP_ANGLE = Parameter("flip_angle_deg", "FA", "flip angle", "°", "FlipAngle_deg")

PARAMETERS = (TR, TE, TI, FLIP_ANGLE)

# All fields of `Acquisition` that are numbers.
NUMBERS = (*(parameter.name for parameter in PARAMETERS), "field_strength_t", "echo_train_length", "b_value")
