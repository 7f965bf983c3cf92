"""The uncertainty of a synthetic STIR as a DICOM Parametric Map that references the synthetic series.

One multi-frame file (PS3.3, A.75) with the map's own float32 values. Its frames have the order of the volume's slices, and each
references its slice. The quantity has the code that DICOM itself uses for "±": 371884006 of SNOMED CT (PS3.16, TID 310). The unit
is arbitrary, since the values are in the units of the synthetic image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from ccdnn.dicom import stack
from ccdnn.dicom.headers import Frame, lenient
from ccdnn.dicom.legal import LONGEST
from ccdnn.dicom.sources import OPTIONAL, REQUIRED, Source, derived_series_number, read_source
from ccdnn.errors import InputError, OutputError
from ccdnn.model.uncertainty import SHOWN_INTERVAL
from ccdnn.provenance import NOTICE, digests_of_inputs
from ccdnn.trust import INTERVAL_ENTRY, region_error_of
from ccdnn.volume import Grid, Volume
from ccdnn.writing import replacing, require_no_input

SERIES_DESCRIPTION = "Uncertainty of synthetic STIR (CC-DNN) – not acquired"
CONTENT_LABEL = "UNCERTAINTY"
LUT_LABEL = "Uncertainty"
QUANTITY = f"Half the width of the {SHOWN_INTERVAL:.0%} interval of the synthetic STIR"

# The window begins at 0, and shows all but the highest values.
WINDOW_PERCENTILE = 99.5


def export_uncertainty(volume: Volume, path: Path, synthetic_files: Sequence[Path]) -> None:
    """Write an uncertainty map as a DICOM Parametric Map. An existing file is replaced only once the new one is complete.

    Args:
        volume: `SynthesisResult.uncertainty`, or the file that `ccdnn synthesize --uncertainty` wrote; float32, (slice, row,
            column), in the units of the synthetic image.
        path: the file to write.
        synthetic_files: all files of the synthetic series, written by `ccdnn.dicom.export`, in any order.

    Raises:
        InputError: the volume is not an uncertainty map, or not that of this series; the series is not a synthetic one.
        OutputError: the file cannot be written or is one of the series, or highdicom is not installed.

    Example, after the series alone was exported::

        exported = export_series(result.volume, Path("stir"), t1_files)
        export_uncertainty(result.uncertainty, Path("uncertainty.dcm"), exported.files)
    """
    require_no_input([path], synthetic_files)
    write_map(uncertainty_map(volume, synthetic_files), path)


def write_map(dataset: Dataset, path: Path) -> None:
    """Write what `uncertainty_map` returned.

    Raises:
        OutputError: the file cannot be written.
    """
    with lenient(), replacing(path) as temporary:
        dcmwrite(temporary, dataset, enforce_file_format=True)


def uncertainty_map(volume: Volume, synthetic_files: Sequence[Path]) -> Dataset:
    """The Parametric Map of a volume, see `export_uncertainty`. Its series is new.

    Raises:
        InputError: see `export_uncertainty`.
        OutputError: highdicom is not installed.
    """
    region_error_of(volume.metadata, volume.name)
    if not np.isfinite(volume.array).all():
        raise InputError(f"{volume.name} contains NaN or infinite values, which no uncertainty has; make the map again.")
    source = read_source(synthetic_files)
    if not all(NOTICE in frame.derivation for frame in source.frames):
        raise InputError(f"{source.name} is not a synthetic series of this program; name the series that the map belongs to.")
    frames = _in_order(volume, source)
    with lenient():  # the series may contain values that pydicom would warn about
        images = [dcmread(frame.path, stop_before_pixels=True) for frame in frames]
        _require_same_run(volume, source, images[0])
        return _map(volume, images)


def _in_order(volume: Volume, source: Source) -> list[Frame]:
    """The images of the series, in the order of the map's slices, which may run against their normal."""
    try:
        grid, frames = stack.arrange(source.frames)
    except InputError as error:
        raise InputError(f"The slices of {source.name} are not one whole volume: {error}") from error
    if volume.grid.same_as(grid):
        return frames
    backwards = volume.ijk_to_ras @ np.diag([1.0, 1.0, -1.0, 1.0])
    backwards[:3, 3] += volume.ijk_to_ras[:3, 2] * (len(volume.array) - 1)
    if Grid(volume.grid.shape, backwards).same_as(grid):
        return frames[::-1]
    raise InputError(
        f"{volume.name} ({volume.grid}) does not lie on the grid of {source.name} ({grid}); give the map of the same run."
    )


def _require_same_run(volume: Volume, source: Source, image: Dataset) -> None:
    """Every knee that is scanned with the same prescription has the same grid, so compare the digests of the inputs' voxels."""
    description = str(image.get("DerivationDescription", ""))
    expected = [*digests_of_inputs(volume.metadata), str(volume.metadata.get("CCDNN_Model", ""))]
    # A description of the longest length may have been cut.
    if len(description) < LONGEST["ST"] and not all(text in description for text in expected):
        raise InputError(
            f"{volume.name} was made from other inputs or by another model than {source.name}; give the map of the same run."
        )


def _map(volume: Volume, images: Sequence[Dataset]) -> Dataset:
    try:
        from highdicom import VOILUTTransformation
        from highdicom.pm import ParametricMap, RealWorldValueMapping
    except ImportError as error:
        raise OutputError(
            "A DICOM Parametric Map needs highdicom, a Python package that is not installed here: pip install highdicom."
        ) from error
    first, array = images[0], volume.array
    highest = float(np.percentile(array, WINDOW_PERCENTILE)) or 1.0
    dataset = ParametricMap(
        images,
        array,
        series_instance_uid=generate_uid(prefix=None),
        series_number=derived_series_number(int(first.SeriesNumber)),
        series_description=SERIES_DESCRIPTION,
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer=first.Manufacturer,
        manufacturer_model_name=first.ManufacturerModelName,
        software_versions=tuple(first.SoftwareVersions),
        device_serial_number=first.SoftwareVersions[0],  # required, and a program has none
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            RealWorldValueMapping(
                LUT_LABEL,
                QUANTITY,
                unit=codes.UCUM.ArbitraryUnit,
                value_range=(float(min(array.min(), 0)), float(array.max())),
                slope=1.0,
                intercept=0.0,
                quantity_definition=codes.SCT.RangeOfMeasurementUncertainty,
            )
        ],
        voi_lut_transformations=[
            VOILUTTransformation(window_center=highest / 2, window_width=highest, voi_lut_function="LINEAR_EXACT")
        ],
        content_label=CONTENT_LABEL,
        content_description=QUANTITY,
    )
    _restore_order(dataset, array, first)
    # The modality that acquired the data behind it (PS3.3, C.8.32.1); highdicom says "other".
    dataset.Modality = first.Modality
    for keyword in (*REQUIRED, *OPTIONAL, "Laterality"):
        if keyword in first:
            dataset[keyword] = first[keyword]
    # highdicom states the equipment of its sources as what acquired them. Nothing here was acquired.
    dataset.ContributingEquipmentSequence = dataset.ContributingEquipmentSequence[-1:]
    dataset.ImageComments = f"{NOTICE} {volume.metadata.get(INTERVAL_ENTRY, QUANTITY)}"
    dataset.DerivationDescription = f"{QUANTITY}. {first.DerivationDescription}"[: LONGEST["ST"]]
    return dataset


def _restore_order(dataset: Dataset, array: np.ndarray, first: Dataset) -> None:
    """highdicom sorts the frames by position, so that they run one way or the other; here the `first` image's comes first."""
    frames = list(dataset.PerFrameFunctionalGroupsSequence)
    if frames[0].DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID != first.SOPInstanceUID:
        frames.reverse()
    for number, frame in enumerate(frames, start=1):
        frame.FrameContentSequence[0].DimensionIndexValues = number
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.FloatPixelData = array.astype("<f4").tobytes()
