"""A DICOM export is legal whatever its sources contain, and it is refused, or all there, or not there at all."""

from __future__ import annotations

import dicom_factory as factory
import numpy as np
import pydicom
import pytest
from dicom_export import ILLEGAL, complaints, exported, series_with, synthetic, volume_of
from pydicom.datadict import dictionary_description

import ccdnn.dicom.export
from ccdnn.dicom.export import export_series
from ccdnn.errors import InputError, OutputError
from ccdnn.volume import Volume


def test_validator_finds_errors_where_there_are_some(source):
    assert complaints(source[0])


def test_validator_is_content(tmp_path, source, volume, out):
    assert complaints(exported(volume, out, source)[2]) == []
    assert complaints(exported(volume, out.with_name("anonymous"), None)[2]) == []
    places = [{"position": (-20.0 + 3 * number, 10.0, 30.0)} for number in range(3)]
    enhanced = factory.write([factory.enhanced(places)], tmp_path / "enhanced")
    made = exported(synthetic(volume_of(enhanced)), out.with_name("of enhanced"), enhanced, [source])
    assert complaints(made[1]) == []


@pytest.mark.parametrize("keyword", ILLEGAL)
def test_illegal_values_of_a_source_are_made_legal_and_told(tmp_path, out, keyword):
    value, expected = ILLEGAL[keyword]
    keyword = keyword.strip()
    files = factory.write(series_with(keyword, value), tmp_path / "source")
    made = export_series(synthetic(volume_of(files)), out, files)
    written = pydicom.dcmread(made.files[0])
    if expected is not None:
        assert str(written[keyword].value or "") == expected
    if keyword in written and keyword != "SeriesNumber":
        assert written[keyword].value != value
        assert any(dictionary_description(keyword) in sentence for sentence in made.changes)
        assert value not in " ".join(made.changes)
    assert complaints(made.files[0]) == []


def _without_mark(volume: Volume) -> Volume:
    return Volume(volume.array, volume.ijk_to_ras, name="t1.nrrd", metadata={})


def _with_nan(volume: Volume) -> Volume:
    array = volume.array.copy()
    array[0, 0, 0] = np.nan
    return volume.with_array(array)


def _sheared(volume: Volume) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 2] += 0.3 * matrix[:3, 0]
    return Volume(volume.array, matrix, metadata=volume.metadata)


def _elsewhere(volume: Volume) -> Volume:
    """Another knee lies a little differently in the same scanner."""
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += 1.5
    return Volume(volume.array, matrix, metadata=volume.metadata)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_mark, "t1.nrrd does not say that it is a synthetic STIR"),
        (_with_nan, "NaN"),
        (_sheared, "sheared"),
        (_elsewhere, "does not lie on the grid of 5 knee, so it may be of another patient"),
    ],
)
def test_volumes_that_must_not_be_exported_are_refused(source, volume, out, spoil, message):
    with pytest.raises(InputError, match=message):
        exported(spoil(volume), out, source)
    assert list(out.parent.iterdir()) == []


def test_sources_that_cannot_be_are_refused(tmp_path, source, volume, out):
    other = factory.write(factory.series(5, PatientID="OTHER-ID"), tmp_path / "other")
    with pytest.raises(InputError, match="different patients") as refused:
        exported(volume, out, source, [other])
    assert "OTHER-ID" not in str(refused.value)
    assert "patient IDs differ" in str(refused.value)
    with pytest.raises(InputError, match="several DICOM series"):
        exported(volume, out, [*source, *other])
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    with pytest.raises(InputError, match=r"notes\.txt"):
        exported(volume, out, [text])
    with pytest.raises(InputError, match=r"gone\.dcm cannot be read"):
        exported(volume, out, [tmp_path / "gone.dcm"])
    placeless = factory.write(factory.series(2, ImagePositionPatient=None), tmp_path / "placeless")
    with pytest.raises(InputError, match="no DICOM image with a position"):
        exported(volume, out, placeless)
    assert list(out.parent.iterdir()) == []


def test_study_may_be_named_by_any_input_if_one_has_the_grid(tmp_path, source, volume, out):
    axial = factory.write(factory.series(4, orientation=factory.AXIAL, FrameOfReferenceUID="1.2.3.4"), tmp_path / "axial")
    with pytest.raises(InputError, match="another patient"):
        exported(volume, out, axial)
    assert len(exported(volume, out, axial, [source])) == 5


def test_nothing_is_overwritten(source, volume, out):
    written = exported(volume, out, source)
    before = written[0].read_bytes()
    for taken in (out, written[0]):
        with pytest.raises(OutputError, match="exists and is not empty"):
            exported(volume, taken, source)
    assert written[0].read_bytes() == before
    (out.parent / "empty").mkdir()
    assert len(exported(volume, out.parent / "empty", source)) == 5


def test_a_failure_leaves_nothing_behind(source, volume, out, monkeypatch):
    def full(stream, dataset, **options):
        if dataset.InstanceNumber == 3:
            raise OSError(28, "No space left on device")
        pydicom.dcmwrite(stream, dataset, **options)

    monkeypatch.setattr(ccdnn.dicom.export, "dcmwrite", full)
    with pytest.raises(OutputError, match="the disk is full"):
        exported(volume, out, source)
    assert list(out.parent.iterdir()) == []
    out.write_text("a file")
    with pytest.raises(OutputError, match="cannot be created"):
        exported(volume, out / "below" / "it", source)
