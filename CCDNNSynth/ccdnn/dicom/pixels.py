"""The voxels of arranged frames: decoded, cut to their stored bits, rescaled frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.pixels import apply_modality_lut, iter_pixels
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ccdnn.dicom.headers import Frame, lenient
from ccdnn.errors import InputError


def read_pixels(frames: Sequence[Frame]) -> np.ndarray:
    """Signal of each frame, (slice, row, column) float32 in the order of `frames`.

    Stored values become signal by each frame's own Rescale Slope and Intercept: scanners scale slices and frames on their own.
    Real World Values and private scales are other units and are not applied.

    Raises:
        InputError: a file is gone, damaged, or compressed in a way that cannot be decoded here.
    """
    signal = np.empty((len(frames), *frames[0].shape), dtype=np.float32)
    slices_of: dict[Path, list[int]] = {}
    for place, frame in enumerate(frames):
        slices_of.setdefault(frame.path, []).append(place)
    for path, slices in slices_of.items():
        try:
            with lenient():
                _read_file(path, [(place, frames[place]) for place in slices], signal)
        except OSError as error:
            raise InputError(f"{path.name} cannot be read: {error.strerror or error}.") from None
        except Exception as error:  # decoders raise nearly anything on damaged data
            raise InputError(f"The pixels of {path.name} cannot be decoded: {str(error).splitlines()[0][:200]}") from error
    return signal


def _read_file(path: Path, wanted: Sequence[tuple[int, Frame]], signal: np.ndarray) -> None:
    dataset = dcmread(path, force=True)
    _ensure_transfer_syntax(dataset)
    decoded = iter_pixels(dataset, indices=[frame.index for _, frame in wanted], raw=True)
    for (place, frame), raw in zip(wanted, decoded, strict=True):
        if raw.shape != frame.shape:
            raise ValueError(f"its image has the shape {raw.shape}, its header says {frame.shape}")
        stored = _stored_values(raw, dataset)
        if frame.inverted:
            # Black is the highest value: mirror the stored range, so that signal is bright as everywhere else.
            lowest, highest = _stored_range(dataset)
            stored = lowest + highest - stored
        if dataset.get("ModalityLUTSequence"):
            signal[place] = apply_modality_lut(stored, dataset)
        else:
            signal[place] = stored.astype(np.float64) * frame.slope + frame.intercept


def _ensure_transfer_syntax(dataset: FileDataset) -> None:
    """Files without meta information are uncompressed, in the encoding in which they could be parsed."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _stored_range(dataset: FileDataset) -> tuple[int, int]:
    bits = int(dataset.BitsStored)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if dataset.PixelRepresentation else (0, (1 << bits) - 1)


def _stored_values(raw: np.ndarray, dataset: FileDataset) -> np.ndarray:
    """Int64 values of the stored bits alone: old files keep overlays in the bits above, and the sign is the highest stored bit."""
    if not np.issubdtype(raw.dtype, np.integer):
        return raw
    bits = int(dataset.BitsStored)
    shift = max(int(dataset.get("HighBit", bits - 1)) + 1 - bits, 0) if not dataset.file_meta.TransferSyntaxUID.is_compressed else 0
    values = (raw.astype(np.int64) >> shift) & ((1 << bits) - 1)
    return values - ((values >> (bits - 1)) << bits) if dataset.PixelRepresentation else values
