"""Decodes the voxels of arranged frames, keeps only their stored bits and rescales them frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.pixels import apply_modality_lut, iter_pixels
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ccdnn.dicom.headers import Frame, Header, lenient
from ccdnn.errors import InputError
from ccdnn.opening import open_regular


def read_pixels(frames: Sequence[Frame]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the signal of each frame, (slice, row, column) float32 in the order of `frames`, and a sentence about each oddity.

    Each frame's own Rescale Slope and Intercept are applied, since scanners scale slices separately. Real World Values and private
    scales are in other units and are not applied. Padding values become 0.

    Raises:
        InputError: a file is missing, damaged, or compressed in a way that cannot be decoded here.
    """
    signal = np.empty((len(frames), *frames[0].shape), dtype=np.float32)
    oddities: dict[str, int] = {}
    slices_of: dict[Path, list[int]] = {}
    for place, frame in enumerate(frames):
        slices_of.setdefault(frame.path, []).append(place)
    for path, slices in slices_of.items():
        try:
            with lenient():
                for oddity in _read_file(path, [(place, frames[place]) for place in slices], signal):
                    oddities[oddity] = oddities.get(oddity, 0) + len(slices)
        except OSError as error:
            raise InputError(f"{path.name} cannot be read: {error.strerror or error}.") from None
        except Exception as error:  # decoders raise nearly anything on damaged data
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise InputError(f"The pixels of {path.name} cannot be decoded: {reason}") from error
    return signal, tuple(f"{oddity} ({count} of {len(frames)} slices)." for oddity, count in oddities.items())


def _read_file(path: Path, wanted: Sequence[tuple[int, Frame]], signal: np.ndarray) -> set[str]:
    """Read one file into its slices of `signal`, and return what is odd about its bits."""
    with open_regular(path) as stream:
        dataset = dcmread(stream, force=True)
    oddities: set[str] = set()
    _ensure_transfer_syntax(dataset)
    decoded = iter_pixels(dataset, indices=[frame.index for _, frame in wanted], raw=True, correct_unused_bits=False)
    for (place, frame), raw in zip(wanted, decoded, strict=True):
        if raw.shape != frame.shape:
            raise ValueError(f"its image has the shape {raw.shape}, but its header states {frame.shape}")
        stored, oddity = _stored_values(raw, dataset)
        oddities |= {oddity} if oddity else set()
        padding = _is_padding(stored, dataset)
        if frame.inverted:
            # The highest value is black here. Mirror the stored range, so that a high signal is bright.
            lowest, highest = _stored_range(dataset)
            stored = lowest + highest - stored
        if dataset.get("ModalityLUTSequence"):
            signal[place] = apply_modality_lut(stored, dataset)
        else:
            signal[place] = stored.astype(np.float64) * frame.slope + frame.intercept
        if padding is not None:
            signal[place][padding] = 0
    return oddities


def _is_padding(stored: np.ndarray, dataset: FileDataset) -> np.ndarray | None:
    """A mask of the voxels in the Pixel Padding Value or its range (PS3.3 C.7.5.1.1.2); None if there are none."""
    header = Header(dataset)
    value = header.integer("PixelPaddingValue")
    if value is None:
        if text := header.unreadable_number("PixelPaddingValue"):
            raise ValueError(f"its Pixel Padding Value “{text}” is not a number")
        return None
    limit = header.integer("PixelPaddingRangeLimit")
    bits = int(dataset.BitsStored)
    # Some writers store the bit pattern of a signed value as unsigned, or vice versa.
    low, high = sorted((value, value if limit is None else limit))
    wrapped = value - (1 << bits) if value > 0 else value + (1 << bits)
    found = (stored >= low) & (stored <= high) | (stored == wrapped)
    return found if found.any() else None


def _ensure_transfer_syntax(dataset: FileDataset) -> None:
    """Set the transfer syntax of a file without meta information: uncompressed, in the encoding that was parsed."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _stored_range(dataset: FileDataset) -> tuple[int, int]:
    bits = int(dataset.BitsStored)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if dataset.PixelRepresentation else (0, (1 << bits) - 1)


def _stored_values(raw: np.ndarray, dataset: FileDataset) -> tuple[np.ndarray, str]:
    """The values of the stored bits as int64, and what is odd about the other bits.

    Old files keep overlays in the bits above the stored ones. The sign is the highest stored bit.
    """
    if not np.issubdtype(raw.dtype, np.integer):
        return raw, ""
    bits = int(dataset.BitsStored)
    shift = max(int(dataset.get("HighBit", bits - 1)) + 1 - bits, 0) if not dataset.file_meta.TransferSyntaxUID.is_compressed else 0
    whole, mask, oddity = raw.astype(np.int64), (1 << bits) - 1, ""
    if shift and (whole & ((1 << shift) - 1)).any() and not (whole & ~mask).any():
        oddity = f"High Bit states that the {bits} stored bits are the upper ones, but they are the lower ones, which were read"
        shift = 0
    values = (whole >> shift) & mask
    signed = values - ((values >> (bits - 1)) << bits) if dataset.PixelRepresentation else values
    # The other bits may be the sign, an overlay, or stored bits that Bits Stored omits.
    if not oddity and not _has_embedded_overlay(dataset) and not np.array_equal(whole >> shift, signed):
        outside = (whole >> shift) & ~mask
        if outside.any() and not (dataset.PixelRepresentation and np.array_equal(whole >> shift, signed)):
            oddity = f"bits outside the {bits} of Bits Stored are set and were ignored; the image may be damaged"
    return signed, oddity


def _has_embedded_overlay(dataset: FileDataset) -> bool:
    """Whether a group 60xx states that the pixels' bits contain an overlay (PS3.3 C.9.2, Overlay Bit Position)."""
    return any(0x6000 <= tag.group <= 0x60FF and tag.element == 0x0102 for tag in dataset.keys())  # noqa: SIM118
