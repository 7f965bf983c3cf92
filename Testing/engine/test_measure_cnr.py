"""CNR against numbers worked out by hand and by a second library, its forms, its table and plot, and what has no CNR."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from ccdnn.chart import ACQUIRED, SYNTHETIC, ChartKind
from ccdnn.errors import InputError
from ccdnn.measure.cnr import (
    PAPER_PAIRS,
    CnrForm,
    TissuePair,
    cnr,
    cnr_chart,
    cnr_measurements,
    cnr_table,
    parse_pairs,
    tissue_name,
)

SAMPLE = Path(__file__).resolve().parents[2] / "CCDNNSynth" / "Resources" / "SampleData"

FOREGROUND = np.array([9.0, 11.0, 10.0, 10.0])  # mean 10, SD sqrt(2/3)
BACKGROUND = np.array([1.0, 3.0, 2.0])  # mean 2, SD 1


@pytest.mark.parametrize(
    ("form", "expected"),
    [(CnrForm.DIFFERENCE, 8.0), (CnrForm.PRINTED, 12.0), (CnrForm.POOLED, 8 / math.sqrt((2 / 3 + 1) / 2))],
)
def test_worked_example(form, expected):
    row = cnr(FOREGROUND, BACKGROUND, form, name="CNR f–b", measured_on="STIR")
    assert row.value == pytest.approx(expected)
    assert (row.name, row.unit, row.measured_on, row.n, row.note) == ("CNR f–b", "1", "STIR", 7, "")


def test_the_printed_form_says_that_it_is_printed():
    assert "printed" in cnr(FOREGROUND, BACKGROUND, CnrForm.PRINTED).method
    assert "printed" not in cnr(FOREGROUND, BACKGROUND).method


def test_equal_tissues_have_no_contrast_by_default_and_much_as_printed():
    assert cnr(BACKGROUND, BACKGROUND).value == 0
    assert cnr(BACKGROUND, BACKGROUND, CnrForm.PRINTED).value == 4


@pytest.mark.parametrize("form", CnrForm)
def test_scale_does_not_matter(form):
    assert cnr(FOREGROUND * 1e3, BACKGROUND * 1e3, form).value == pytest.approx(cnr(FOREGROUND, BACKGROUND, form).value)


@pytest.mark.parametrize(
    ("foreground", "background", "form", "note"),
    [
        ([], BACKGROUND, CnrForm.DIFFERENCE, "foreground region contains no voxel"),
        (FOREGROUND, [], CnrForm.DIFFERENCE, "background region contains no voxel"),
        (FOREGROUND, [2.0], CnrForm.DIFFERENCE, "one voxel"),
        ([5.0], BACKGROUND, CnrForm.DIFFERENCE, "one voxel"),
        ([5.0], BACKGROUND, CnrForm.POOLED, "one voxel"),
        (FOREGROUND, np.full(1000, 0.1, np.float32), CnrForm.DIFFERENCE, "SD 0"),
        (FOREGROUND, [1.0, np.nan], CnrForm.DIFFERENCE, "NaN"),
    ],
)
def test_regions_without_a_cnr_give_a_sentence(foreground, background, form, note):
    row = cnr(np.array(foreground), np.array(background), form)
    assert math.isnan(row.value)
    assert note in row.note


def test_the_five_pairs_of_the_paper():
    assert [str(pair) for pair in PAPER_PAIRS] == [
        "cartilage–bone",
        "cartilage–meniscus",
        "muscle–bone",
        "muscle–fat",
        "muscle–meniscus",
    ]


IMAGE = np.array([[[9.0, 11.0, 10.0, 10.0, 1.0, 3.0, 2.0, 2.0, 2.0]]])
REGIONS = {"muscle": np.array([0, 1, 2, 3]), "fat": np.array([4, 5, 6]), "air": np.array([7, 8])}
MUSCLE_FAT = TissuePair("muscle", "fat")


def row_of(table, pair=MUSCLE_FAT) -> dict:
    index = table.column("Pair").index(str(pair))
    return dict(zip((column.name for column in table.columns), table.rows[index], strict=True))


def test_rows_of_a_table_of_two_images():
    table = cnr_table({"acquired": IMAGE, "synthetic": IMAGE * 0}, REGIONS, [MUSCLE_FAT])
    acquired, synthetic, ratio = cnr_measurements(table)
    assert (acquired.name, acquired.measured_on, acquired.n, acquired.note) == ("CNR muscle–fat", "acquired STIR", 7, "")
    assert acquired.value == pytest.approx(8)
    assert math.isnan(synthetic.value) and "SD 0" in synthetic.note
    assert math.isnan(ratio.value) and ratio.measured_on == "synthetic STIR over acquired STIR"
    assert ratio.method == f"ratio of {acquired.method}"


def test_table_row_of_two_images():
    row = row_of(cnr_table({"acquired": IMAGE, "synthetic": IMAGE**2}, REGIONS, [MUSCLE_FAT]))
    assert row["CNR acquired"] == pytest.approx(8)
    assert row["CNR synthetic"] == pytest.approx((100.5 - 14 / 3) / np.std([1, 9, 4], ddof=1))
    assert row["Ratio synthetic/acquired"] == pytest.approx(row["CNR synthetic"] / 8)
    assert [row[f"{name} acquired"] for name in ("Mean foreground", "Voxels foreground", "Mean background", "SD background")] == [
        10,
        4,
        2,
        1,
    ]
    assert row["Definition"] == "CNR = |mean_f − mean_b| / SD_b" and row["Note"] == ""


def test_table_of_one_image_has_no_ratio():
    names = [column.name for column in cnr_table({"synthetic": IMAGE}, REGIONS, [MUSCLE_FAT]).columns]
    assert "CNR synthetic" in names and not [name for name in names if "acquired" in name or "Ratio" in name]


def test_masks_indices_and_several_regions_of_a_tissue_are_alike():
    masks = {name: np.isin(np.arange(9), voxels).reshape(IMAGE.shape) for name, voxels in REGIONS.items()}
    parts = {"Muscle": np.array([3, 0, 0]), "muscle ": np.array([1, 2, 3]), "fat": REGIONS["fat"]}
    assert row_of(cnr_table({"acquired": IMAGE}, masks, [MUSCLE_FAT])) == row_of(
        cnr_table({"acquired": IMAGE}, parts, [MUSCLE_FAT])
    )


@pytest.mark.parametrize("form", CnrForm)
def test_table_on_the_sample_study_against_a_second_library(form):
    """SimpleITK's label statistics over the study's own label map, put together by the formula of the paper."""
    images = {name: SimpleITK.ReadImage(str(SAMPLE / f"{file}.nrrd")) for name, file in (("acquired", "stir"), ("synthetic", "t2"))}
    labels = SimpleITK.ReadImage(str(SAMPLE / "labels.nrrd"))
    values = {name: int(value) for value, name in json.loads((SAMPLE / "labels.json").read_text()).items()}
    array = SimpleITK.GetArrayFromImage(labels)
    table = cnr_table(
        {name: SimpleITK.GetArrayFromImage(image) for name, image in images.items()},
        {name: array == value for name, value in values.items()},
        form=form,
    )
    for image_name, image in images.items():
        statistics = SimpleITK.LabelStatisticsImageFilter()
        statistics.Execute(SimpleITK.Cast(image, SimpleITK.sitkFloat64), labels)
        for pair in PAPER_PAIRS:
            f, b = (values["bone marrow" if name == "bone" else name] for name in (pair.foreground, pair.background))
            row = row_of(table, pair)
            mean_f, mean_b, sd_f, sd_b = (
                *(statistics.GetMean(label) for label in (f, b)),
                *(statistics.GetSigma(label) for label in (f, b)),
            )
            expected = {
                CnrForm.DIFFERENCE: abs(mean_f - mean_b) / sd_b,
                CnrForm.PRINTED: (mean_f + mean_b) / sd_b,
                CnrForm.POOLED: abs(mean_f - mean_b) / math.sqrt((sd_f**2 + sd_b**2) / 2),
            }[form]
            assert row[f"CNR {image_name}"] == pytest.approx(expected, rel=1e-6)
            assert row[f"Mean foreground {image_name}"] == pytest.approx(mean_f, rel=1e-6)
            assert row[f"SD background {image_name}"] == pytest.approx(sd_b, rel=1e-6)
            assert row[f"Voxels background {image_name}"] == statistics.GetCount(b)


@pytest.mark.parametrize(
    ("regions", "note"),
    [
        ({"muscle": REGIONS["muscle"]}, "No region is called fat"),
        ({}, "No region is called muscle or fat"),
        ({**REGIONS, "fat": np.array([3, 4, 5])}, "muscle and fat overlap by 1 voxel (acquired and synthetic image)"),
        ({**REGIONS, "fat": np.array([], np.int64)}, "The fat region contains no voxel (acquired and synthetic image)"),
        ({**REGIONS, "muscle": np.array([2])}, "The muscle region is one voxel (acquired and synthetic image)"),
        ({**REGIONS, "fat": np.array([7, 8])}, "The fat region does not vary (SD 0) (acquired image)"),
        ({**REGIONS, "fat": np.array([4, 5])}, "contains NaN or infinite voxels (synthetic image)"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence_and_not_a_number(regions, note):
    synthetic = IMAGE + np.arange(9)
    synthetic[0, 0, 4] = np.nan
    row = row_of(cnr_table({"acquired": IMAGE, "synthetic": synthetic}, regions, [MUSCLE_FAT]))
    assert note in row["Note"]
    assert math.isnan(row["Ratio synthetic/acquired"])


def test_a_problem_of_one_image_leaves_the_other_its_number():
    constant = np.where(np.arange(9) < 4, IMAGE, 5.0)
    row = row_of(cnr_table({"acquired": IMAGE, "synthetic": constant}, REGIONS, [MUSCLE_FAT]))
    assert row["CNR acquired"] == pytest.approx(8) and math.isnan(row["CNR synthetic"])
    assert "SD 0" in row["Note"] and "(synthetic image)" in row["Note"]


def test_no_ratio_to_no_contrast():
    row = row_of(
        cnr_table(
            {"acquired": np.array([[[1.0, 3.0, 1.0, 3.0]]]), "synthetic": np.array([[[1.0, 3.0, 2.0, 5.0]]])},
            {"muscle": np.array([0, 1]), "fat": np.array([2, 3])},
            [MUSCLE_FAT],
        )
    )
    assert row["CNR acquired"] == 0 and row["CNR synthetic"] > 0
    assert math.isnan(row["Ratio synthetic/acquired"]) and "no ratio" in row["Note"]


def test_grids_must_agree():
    with pytest.raises(InputError, match="different grids"):
        cnr_table({"acquired": IMAGE, "synthetic": IMAGE[..., 1:]}, REGIONS)
    with pytest.raises(InputError, match="different grids"):
        cnr_table({"acquired": IMAGE}, {"fat": np.zeros((2, 2, 2), bool)})


@pytest.mark.parametrize("form", CnrForm)
def test_chart_has_a_bar_a_pair_and_image_and_names_the_definition(form):
    table = cnr_table({"acquired": IMAGE, "synthetic": IMAGE**2}, REGIONS, [MUSCLE_FAT, TissuePair("muscle", "bone")], form)
    chart = cnr_chart(table)
    assert chart.kind is ChartKind.BAR and chart.categories == ("muscle–fat", "muscle–bone")
    assert [(series.name, series.colour) for series in chart.series] == [("acquired", ACQUIRED), ("synthetic", SYNTHETIC)]
    assert chart.series[0].y[0] == table.column("CNR acquired")[0] and math.isnan(chart.series[0].y[1])
    assert chart.y_title == f"CNR = {form.formula}" and ("as printed" in chart.y_title) == (form is CnrForm.PRINTED)


def test_pairs_as_text():
    assert parse_pairs(" ") == PAPER_PAIRS
    assert parse_pairs("Fluid / Bone_marrow;muscle/fat; ") == (TissuePair("fluid", "bone"), MUSCLE_FAT)
    for text in ("muscle", "muscle/", "a/b/c", "/"):
        with pytest.raises(InputError, match="is not a pair of tissues"):
            parse_pairs(text)
    with pytest.raises(InputError, match="one tissue twice"):
        parse_pairs("bone/bone marrow")


def test_names_of_tissues():
    assert tissue_name("  Bone_Marrow ") == tissue_name("bone") == "bone"
    assert tissue_name("Cortical  bone") == "cortical bone"
    assert tissue_name("{odd}") == "{odd}"
