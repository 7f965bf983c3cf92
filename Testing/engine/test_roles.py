"""Roles from sequence tags as the vendors write them, from names where there are none, and the reasons given."""

from __future__ import annotations

from typing import Any

import dicom_factory as factory
import pytest
from pydicom.uid import generate_uid

from ccdnn.acquisition import Acquisition, Technique
from ccdnn.dicom.acquisition import acquisition_of
from ccdnn.dicom.headers import Header
from ccdnn.roles import Evidence, classify
from ccdnn.series import Role


def role_of(description: str = "", slices: int = 24, planes: int = 1, modality: str = "MR", notes: str = "", **tags: Any):
    """Classify a classic MR header with these tags and no others of the sequence."""
    dataset = factory.slice_dataset(0, series_uid=generate_uid())
    for keyword in factory.SPIN_ECHO_T1:
        delattr(dataset, keyword)
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    evidence = Evidence(acquisition_of(Header(dataset)), description, notes, modality, slices, planes)
    return classify(evidence)


def times(tr: float, te: float, **more: Any) -> dict[str, Any]:
    return {"RepetitionTime": tr, "EchoTime": te, **more}


SE, GR, IR = {"ScanningSequence": "SE"}, {"ScanningSequence": "GR"}, {"ScanningSequence": ["SE", "IR"]}


@pytest.mark.parametrize(
    ("tags", "role"),
    [
        # The paper's protocol at 3 T.
        (SE | times(522, 11), Role.T1),
        (SE | times(3000, 80), Role.T2),
        (GR | times(500, 10, FlipAngle=25), Role.GRE),
        (IR | times(4478, 60, InversionTime=220), Role.STIR),
        # Siemens: turbo spin echoes with fat saturation, with and without.
        (SE | times(656, 14, SequenceName="*tse2d1_5", ScanOptions=""), Role.T1),
        (SE | times(3850, 17, ScanOptions=["PFP", "FS"]), Role.PD_FAT_SAT),
        (SE | times(3850, 17, ScanOptions="PFP"), Role.OTHER),
        (SE | times(4000, 75, ScanOptions="FS"), Role.OTHER),
        (SE | times(600, 11, ScanOptions="FS"), Role.OTHER),
        (IR | times(4000, 30, InversionTime=160, SequenceName="*tir2d1rs9"), Role.STIR),
        ({"ScanningSequence": "RM", "SequenceName": "*tir2d1rs9"} | times(4000, 30, InversionTime=160), Role.STIR),
        (GR | times(850, 17, FlipAngle=30, SequenceName="*me2d1r3"), Role.GRE),
        # MPRAGE: an inversion time that is no STIR's, before gradient echoes.
        ({"ScanningSequence": ["GR", "IR"]} | times(2300, 2.98, InversionTime=900, FlipAngle=9), Role.T1),
        # GE: ScanOptions full of its own words, research mode, flip angles of spin echoes.
        (SE | times(2500, 40, ScanOptions=["FAST_GEMS", "NPW", "FS", "FILTERED_GEMS"], FlipAngle=111), Role.PD_FAT_SAT),
        (SE | times(716, 9, ScanOptions=["FAST_GEMS", "SAT_GEMS", "NPW"], FlipAngle=142), Role.T1),
        ({"ScanningSequence": "RM"} | times(3300, 85, FlipAngle=125), Role.T2),
        ({"ScanningSequence": ["SE", "IR"]} | times(5200, 42, InversionTime=145, ScanOptions=["FAST_GEMS"]), Role.STIR),
        # Philips: TI 0 where there is none, IR alone for STIR.
        (SE | times(3000, 100, InversionTime=0), Role.T2),
        ({"ScanningSequence": "IR"} | times(3500, 20, InversionTime=160), Role.STIR),
        # FLAIR and a T1 inversion recovery do not null fat.
        (IR | times(9000, 90, InversionTime=2500), Role.OTHER),
        (IR | times(2000, 12, InversionTime=800), Role.OTHER),
        # Low field and high field.
        (IR | times(1500, 24, InversionTime=85), Role.STIR),
        (SE | times(1000, 10), Role.T1),
        # No role: between the weightings, diffusion, phase, a subtraction.
        (SE | times(1000, 45), Role.OTHER),
        ({"ScanningSequence": ["EP", "SE"]} | times(5000, 80), Role.OTHER),
        (SE | times(3000, 80, DiffusionBValue=0), Role.T2),  # Philips writes it into every series
        (SE | times(3000, 80, DiffusionBValue=800), Role.OTHER),
        (SE | times(3000, 80, DiffusionBValue=0, ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION"]), Role.OTHER),
        ({"ScanningSequence": ["EP", "SE"]} | times(3000, 80, DiffusionBValue=0), Role.OTHER),
        # A gradient echo long after an inversion, whether the header calls it one or not.
        (GR | times(2300, 2.98, InversionTime=900, FlipAngle=9), Role.T1),
        (GR | times(2000, 12, InversionTime=1100, FlipAngle=9), Role.OTHER),
        # No refocusing pulse: a gradient echo, not a fat-suppressed PD.
        ({"RFEchoTrainLength": 0, "GradientEchoTrainLength": 3} | times(1300, 20, ScanOptions="FS", FlipAngle=70), Role.GRE),
        ({"RFEchoTrainLength": 9} | times(3500, 20, ScanOptions="FS"), Role.PD_FAT_SAT),
        # No spin echo repeats so fast.
        (times(12, 5), Role.GRE),
        (SE | times(20, 10), Role.OTHER),
        (GR | times(500, 10, ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]), Role.OTHER),
        (SE | times(600, 12, ImageType=["DERIVED", "SECONDARY", "SUBTRACTION"]), Role.OTHER),
        # Dixon: water is fat-suppressed, the rest is not what it would be alone.
        (SE | times(3000, 30, ImageType=["DERIVED", "PRIMARY", "DIXON", "WATER"]), Role.PD_FAT_SAT),
        (SE | times(3000, 30, ImageType=["DERIVED", "PRIMARY", "DIXON", "FAT"]), Role.OTHER),
        (SE | times(600, 12, ImageType=["DERIVED", "PRIMARY", "DIXON", "IN_PHASE"]), Role.T1),
    ],
)  # fmt: skip
def test_by_tags(tags: dict[str, Any], role: Role) -> None:
    found, reason = role_of(**tags)
    assert found is role, reason


def test_reason_names_the_facts() -> None:
    assert role_of(**GR, **times(500, 10, FlipAngle=25))[1] == "gradient echo, TR 500 ms, TE 10 ms, FA 25°"
    assert role_of(**SE, **times(656, 14))[1] == "spin echo, TR 656 ms, TE 14 ms: short TR and TE"
    # As a scanner states it, not as 1e+04.
    assert "TR 10000 ms, TE 90.25 ms" in role_of(**SE, **times(10000, 90.25))[1]
    assert "TI 220 ms: the inversion time nulls fat" in role_of(**IR, **times(4478, 60, InversionTime=220))[1]


def test_tags_outweigh_the_name() -> None:
    assert role_of("SAG T2", **SE, **times(600, 12))[0] is Role.T1
    assert role_of("t1_gre", **SE, **times(3000, 90))[0] is Role.T2


def test_name_adds_what_tags_leave_open() -> None:
    """GE and Canon need not list fat saturation in Scan Options."""
    assert role_of("SAG PD FATSAT", **SE, **times(3000, 30))[0] is Role.PD_FAT_SAT
    assert role_of("Sag T1 FS", **SE, **times(600, 10))[0] is Role.OTHER
    assert role_of("cor STIR", **SE, **times(4000, 40))[0] is Role.STIR
    assert role_of("t1_vibe", **GR, **times(12, 4, FlipAngle=10))[0] is Role.T1


def test_spair_is_fat_saturation_though_it_inverts() -> None:
    assert role_of("PD SPAIR", **IR, **times(3500, 30, InversionTime=120, ScanOptions="FS"))[0] is Role.PD_FAT_SAT


@pytest.mark.parametrize("name", ["localizer", "3-pl loc", "AAScout", "Survey_32ch", "3Plane Loc FGRE", "localizador", "LOC TRA"])
def test_named_localizers(name: str) -> None:
    assert role_of(name, slices=7, **GR, **times(8, 3.5, FlipAngle=20))[0] is Role.LOCALIZER


def test_localizers_by_geometry() -> None:
    assert role_of("knee", slices=3, planes=3, **GR, **times(8, 3.5, FlipAngle=20))[0] is Role.LOCALIZER
    assert role_of("knee", slices=3, **GR, **times(8, 3.5, FlipAngle=20, MRAcquisitionType="2D"))[0] is Role.LOCALIZER
    assert role_of("knee", slices=24, **GR, **times(500, 10, FlipAngle=25))[0] is Role.GRE


@pytest.mark.parametrize(
    ("keyword", "text"),
    [("EchoTime", "80,0"), ("RepetitionTime", "three seconds"), ("InversionTime", "1e999"), ("FlipAngle", "90°")],
)
def test_a_time_that_cannot_be_read_is_not_taken_for_none(keyword: str, text: str) -> None:
    """Without its TE a T2 would pass for a T1."""
    role, reason = classify(Evidence(acquisition_of(Header({"ScanningSequence": "SE", **times(600, 12), keyword: text})), "sag T2"))
    assert role is Role.OTHER
    assert f"{keyword} is “{text}”" in reason and "cannot be read" in reason


def test_b0_beside_other_b_values_is_diffusion() -> None:
    evidence = Evidence(acquisition_of(Header({"ScanningSequence": "SE", **times(3000, 80), "DiffusionBValue": 0})), diffusion=True)
    assert classify(evidence)[0] is Role.OTHER


@pytest.mark.parametrize(
    "name",
    ["t2_manual", "sub-01_T2w_seg-manual", "t1seg", "T2w_dseg", "T2w_centerline_discs", "t2_labeled", "T1_labelled", "t2_gt",
     "t1_mask", "T2w_label-lesion", "t2_centreline", "t1_brainmask"],
)  # fmt: skip
def test_drawings_beside_images_are_not_images(name: str) -> None:
    assert role_of(name, modality="")[0] is Role.OTHER


def test_no_acquired_image() -> None:
    assert role_of("stir synthetic", **SE, **times(600, 12))[0] is Role.OTHER
    assert (
        role_of("stir", notes="SYNTHETIC image computed by a neural network", **IR, **times(4478, 60, InversionTime=220))[0]
        is Role.OTHER
    )
    assert role_of("t1", modality="CT")[0] is Role.OTHER


NAMES = {
    Role.T1: ["t1", "T1w", "sub-01_ses-2_T1w", "SAG T1 TSE", "t1_tse_sag", "Sag_T1", "mprage", "t1_mpr"],
    Role.T2: ["t2", "T2w", "t2_tse_cor", "SAG T2 FSE", "T2-interleaved"],
    Role.GRE: [
        "gre", "t2star", "T2_", "T2_-interleaved", "sag t2* gre", "t2_medic", "3D_DESS_WE", "mFFE", "FLASH 3D", "sub-01_T2starw",
    ],
    Role.STIR: ["stir", "STIR_cor", "t2_tirm_sag", "T2 STIR"],
    Role.PD_FAT_SAT: ["pd_fs", "PD FAT SAT", "DP FS", "pd_tse_fs_sag", "pdfs", "PDw_SPAIR"],
    Role.LOCALIZER: ["localizer"],
    Role.OTHER: [
        "pd_tse", "t2_fs", "t1_fs_sag", "labels", "t1_seg", "fieldmap", "DTI", "knee", "scan12", "stir_synthetic", "best1", "part2",
        "agreement", "t1_t2_fused",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "role"), [(name, role) for role, names in NAMES.items() for name in names])
def test_by_name(name: str, role: Role) -> None:
    found, reason = classify(Evidence(Acquisition(), name, slices=12))
    assert found is role, reason


def test_single_slice_is_no_volume() -> None:
    role, reason = role_of(slices=1, **SE, **times(600, 12))
    assert role is Role.OTHER and reason.startswith("a single slice")


@pytest.mark.parametrize(
    ("tags", "technique"),
    [
        ({"ScanningSequence": "SE"}, Technique.SPIN_ECHO),
        ({"ScanningSequence": ["GR", "IR"]}, Technique.GRADIENT_ECHO),
        ({"ScanningSequence": ["SE", "GR"]}, Technique.BOTH),
        ({"ScanningSequence": "EP", "SequenceName": "*epfid2d1_64"}, Technique.GRADIENT_ECHO),
        ({"ScanningSequence": "RM", "SequenceName": "*tse2d1_9"}, Technique.SPIN_ECHO),
        ({"EchoPulseSequence": "BOTH"}, Technique.BOTH),
        ({"ScanningSequence": "RM"}, None),
    ],
)
def test_technique(tags: dict[str, Any], technique: Technique | None) -> None:
    assert acquisition_of(Header(tags)).technique is technique


def test_philips_water_excitation_is_no_evidence_where_suppression_is_denied() -> None:
    assert (
        acquisition_of(Header({"SpectrallySelectedSuppression": "NONE", "SpectrallySelectedExcitation": "WATER"})).fat_suppressed
        is False
    )
    assert acquisition_of(Header({"SpectrallySelectedExcitation": "WATER"})).fat_suppressed is True
    assert acquisition_of(Header({})).fat_suppressed is None
