"""Enhanced multi-frame MR: parameters, places and scales in functional groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dicom_factory as factory
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLosslessSV1

from ccdnn.acquisition import Technique
from ccdnn.series import Role
from ccdnn.study import find_series, read_volume


def frames(count: int = 4, spacing: float = 3.0, orientation=factory.SAGITTAL, **values: Any) -> list[dict[str, Any]]:
    step = spacing * factory.normal(orientation)
    return [
        {"position": np.array([-20.0, 10.0, 30.0]) + number * step, "in_stack": number + 1, **values} for number in range(count)
    ]


def save(dataset, folder: Path) -> Path:
    path = folder / "enhanced.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_acquisition_place_and_scale_come_from_functional_groups(tmp_path: Path) -> None:
    listed = frames()
    for number, frame in enumerate(listed):
        frame["slope"] = 1.25 * (number + 1)
    path = save(factory.enhanced(listed[::-1]), tmp_path)
    (found,) = find_series(path)
    acquisition = found.acquisition
    assert (acquisition.tr_ms, acquisition.te_ms, acquisition.flip_angle_deg) == (600.0, 12.0, 150.0)
    assert acquisition.technique is Technique.SPIN_ECHO
    assert found.role is Role.T1
    assert found.grid.spacing == pytest.approx((0.75, 0.5, 3.0))
    # Frames were stored from the last slice to the first: the slice at position k is the ramp of frame 3 − k.
    wanted = [factory.ramp(3 - k).astype(np.float64) * 1.25 * (k + 1) for k in range(4)]
    np.testing.assert_allclose(found.load().array, wanted, rtol=1e-6)


def test_two_echoes_are_two_series(tmp_path: Path) -> None:
    both = [frame for pair in zip(frames(te=12.0), frames(te=60.0), strict=True) for frame in pair]
    found = find_series(save(factory.enhanced(both), tmp_path))
    assert [series.acquisition.te_ms for series in found] == [12.0, 60.0]
    np.testing.assert_array_equal(found[1].load().array, np.stack([factory.ramp(n) for n in (1, 3, 5, 7)]))


def test_two_stacks_are_two_series(tmp_path: Path) -> None:
    both = [*frames(stack="1"), *frames(orientation=factory.AXIAL, stack="2")]
    for frame in both:
        frame.setdefault("orientation", factory.SAGITTAL)
    for frame in both[4:]:
        frame["orientation"] = factory.AXIAL
    found = find_series(save(factory.enhanced(both), tmp_path))
    assert [series.plane for series in found] == ["sagittal", "axial"]


def test_parallel_stacks_are_told_apart_by_their_id(tmp_path: Path) -> None:
    near = frames(stack="left")
    far = [{**frame, "stack": "right", "position": frame["position"] + [13.7, 0, 0]} for frame in frames()]
    found = find_series(save(factory.enhanced([*near, *far]), tmp_path))
    assert [series.name for series in found] == ["5 knee, stack left", "5 knee, stack right"]


def test_time_points(tmp_path: Path) -> None:
    found = find_series(save(factory.enhanced([*frames(temporal=1), *frames(temporal=2), *frames(temporal=3)]), tmp_path))
    assert [series.time_point for series in found] == [1, 2, 3]
    np.testing.assert_array_equal(found[2].load().array, np.stack([factory.ramp(n) for n in range(8, 12)]))


def test_time_points_in_files_of_one_series(tmp_path: Path) -> None:
    """Siemens XA writes a file a volume, every one with the same indices."""
    first = factory.enhanced(frames(temporal=1))
    second = factory.enhanced([{**frame, "pixels": factory.ramp(50)} for frame in frames(temporal=1)])
    second.SeriesInstanceUID, second.InstanceNumber = first.SeriesInstanceUID, 2
    for name, dataset in (("a", first), ("b", second)):
        dataset.save_as(tmp_path / name, enforce_file_format=True)
    found = find_series(tmp_path)
    assert [series.time_point for series in found] == [1, 2]
    assert found[1].load().array.min() == 50_000


def test_dimension_that_only_the_vendor_knows(tmp_path: Path) -> None:
    listed = [*frames(), *frames()]
    dataset = factory.enhanced(listed)
    in_stack, private = Dataset(), Dataset()
    in_stack.DimensionIndexPointer, private.DimensionIndexPointer = 0x00209057, 0x2005106E
    dataset.DimensionIndexSequence = [in_stack, private]
    for number, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        groups.FrameContentSequence[0].DimensionIndexValues = [number % 4 + 1, number // 4 + 1]
    found = find_series(save(dataset, tmp_path))
    assert [series.name for series in found] == ["5 knee, volume 1", "5 knee, volume 2"]


def test_frames_at_one_place_that_nothing_tells_apart(tmp_path: Path) -> None:
    (found,) = find_series(save(factory.enhanced([*frames(), *frames()]), tmp_path))
    assert "nothing distinguishes them" in found.problem


def test_magnitude_and_phase(tmp_path: Path) -> None:
    both = [
        *frames(frame_type=["ORIGINAL", "PRIMARY", "T1", "NONE"], component="MAGNITUDE"),
        *frames(frame_type=["ORIGINAL", "PRIMARY", "T1", "NONE"], component="PHASE"),
    ]
    found = find_series(save(factory.enhanced(both), tmp_path))
    assert [series.role for series in found] == [Role.T1, Role.OTHER]
    assert "phase" in found[1].reason


def test_b_values(tmp_path: Path) -> None:
    found = find_series(save(factory.enhanced([*frames(b_value=0.0), *frames(b_value=800.0)]), tmp_path))
    assert [series.name for series in found] == ["5 knee, b 0", "5 knee, b 800"]


def test_stir_by_its_inversion_time(tmp_path: Path) -> None:
    shared = {"tr": 4500.0, "te": 60.0, "inversion": "YES", "ti": 220.0}
    (found,) = find_series(save(factory.enhanced(frames(), shared=shared), tmp_path))
    assert found.role is Role.STIR and found.acquisition.ti_ms == 220.0


def test_fat_saturation_from_the_modifier(tmp_path: Path) -> None:
    shared = {"tr": 3500.0, "te": 30.0, "suppression": "FAT"}
    (found,) = find_series(save(factory.enhanced(frames(), shared=shared), tmp_path))
    assert found.role is Role.PD_FAT_SAT


def test_compressed_frames(tmp_path: Path) -> None:
    path = save(factory.enhanced(frames()), tmp_path)
    factory.transcode(path, JPEGLosslessSV1)
    np.testing.assert_array_equal(read_volume(path).array, np.stack([factory.ramp(n) for n in range(4)]))


def test_missing_frame_is_refused(tmp_path: Path) -> None:
    listed = frames(6)
    (found,) = find_series(save(factory.enhanced([*listed[:2], *listed[3:]]), tmp_path))
    assert "1 slice is missing" in found.problem


def test_frames_cut_off_are_refused(tmp_path: Path) -> None:
    path = save(factory.enhanced(frames()), tmp_path)
    path.write_bytes(path.read_bytes()[:-50])
    (found,) = find_series(path)
    assert "truncated" in found.problem


def test_frame_count_that_contradicts_the_groups(tmp_path: Path) -> None:
    dataset = factory.enhanced(frames(4))
    dataset.NumberOfFrames = 3
    (found,) = find_series(save(dataset, tmp_path))
    assert "has 3 frames but describes 4" in found.problem


def test_multi_frame_without_places_is_refused(tmp_path: Path) -> None:
    dataset = factory.enhanced(frames(4))
    del dataset.PerFrameFunctionalGroupsSequence
    (found,) = find_series(save(dataset, tmp_path))
    assert "contains 4 frames without positions" in found.problem
