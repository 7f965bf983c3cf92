"""Contrast-to-noise ratio between two tissues (Eq. 11 and Figure 8 of the paper), as a number, a table and a bar plot.

The paper prints CNR(f, b) = (mean_f + mean_b) / SD_b. With a plus, two tissues of equal brightness would have a high CNR, so the
default here is the difference; the printed form stays selectable and is named as such wherever its numbers appear.
SD is the sample standard deviation (n − 1).

If a CNR is undefined (no voxel, a single one, overlapping tissues, SD 0, NaN), a sentence gives the reason instead of a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ccdnn.chart import ACQUIRED, BLACK, SYNTHETIC, Chart, ChartKind, Series
from ccdnn.errors import InputError
from ccdnn.measure.table import Cell, Column, Measurement, Table


class CnrForm(str, Enum):
    """Which formula."""

    DIFFERENCE = "difference"
    PRINTED = "printed"
    POOLED = "pooled"

    @property
    def formula(self) -> str:
        return _FORMULAS[self]

    def label(self) -> str:
        """The name shown in a list of choices."""
        return self.formula


_FORMULAS = {
    CnrForm.DIFFERENCE: "|mean_f − mean_b| / SD_b",
    CnrForm.PRINTED: "(mean_f + mean_b) / SD_b, as printed in Eq. 11",
    CnrForm.POOLED: "|mean_f − mean_b| / sqrt((SD_f² + SD_b²) / 2)",
}


@dataclass(frozen=True)
class TissuePair:
    """Foreground and background of a CNR, by the names of the regions."""

    foreground: str
    background: str

    def __str__(self) -> str:
        return f"{self.foreground}–{self.background}"


# Figure 8. "Bone" is bone marrow: the cortex gives no signal and would be a background of pure noise.
PAPER_PAIRS = (
    TissuePair("cartilage", "bone"),
    TissuePair("cartilage", "meniscus"),
    TissuePair("muscle", "bone"),
    TissuePair("muscle", "fat"),
    TissuePair("muscle", "meniscus"),
)


@dataclass(frozen=True)
class TissueSample:
    """The statistics of a tissue in an image that a CNR needs.

    Args:
        n: voxels.
        mean: NaN without voxels or if a voxel is NaN.
        sd: sample standard deviation; NaN for fewer than two voxels.
    """

    n: int
    mean: float
    sd: float

    @classmethod
    def of(cls, values: np.ndarray) -> TissueSample:
        """Of voxel values of any shape."""
        values = np.asarray(values, np.float64).ravel()
        with np.errstate(invalid="ignore", over="ignore"):  # non-finite values are reported later
            mean = float(values.mean()) if values.size else float("nan")
            sd = float(values.std(ddof=1)) if values.size > 1 else float("nan")
        return cls(values.size, mean, sd)


NO_VOXEL = TissueSample(0, float("nan"), float("nan"))


def cnr(
    foreground: np.ndarray,
    background: np.ndarray,
    form: CnrForm = CnrForm.DIFFERENCE,
    *,
    name: str = "CNR",
    measured_on: str = "image",
) -> Measurement:
    """CNR between the voxels of two regions.

    Args:
        foreground, background: voxel values of the regions, any shape.
        form: the formula.
        name, measured_on: for the row.

    Returns:
        A row without unit; n counts the voxels of both regions. NaN, with a note in one sentence, where a region is empty or a
        single voxel, holds NaN, or the SD is 0.

    >>> marrow, edema = np.array([10.0, 12.0, 14.0]), np.array([30.0, 32.0])
    >>> cnr(edema, marrow).value
    9.5
    """
    f, b = TissueSample.of(foreground), TissueSample.of(background)
    problem = _problem(f, b, form, ("foreground", "background"))
    value = float("nan") if problem else _value(f, b, form)
    return Measurement(name, value, "1", measured_on, f"CNR = {form.formula}", f.n + b.n, problem.replace(_WHERE, ""))


def tissue_name(text: str) -> str:
    """The normalised name of a tissue: "Bone_Marrow " becomes "bone", the paper's term for marrow."""
    name = " ".join(text.replace("_", " ").casefold().split())
    return "bone" if name == "bone marrow" else name


def parse_pairs(text: str) -> tuple[TissuePair, ...]:
    """The pairs in "foreground/background; foreground/background"; the paper's five if there is none.

    Raises:
        InputError: a pair cannot be read or names one tissue twice; the message quotes it.
    """
    pairs = []
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        names = [tissue_name(name) for name in entry.split("/")]
        if len(names) != 2 or not all(names):
            raise InputError(f"“{entry}” is not a pair of tissues; write foreground/background, with “;” between pairs.")
        if names[0] == names[1]:
            raise InputError(f"“{entry}” is one tissue twice; a CNR needs two.")
        pairs.append(TissuePair(*names))
    return tuple(pairs) or PAPER_PAIRS


def cnr_table(
    images: Mapping[str, np.ndarray],
    regions: Mapping[str, np.ndarray],
    pairs: Sequence[TissuePair] = PAPER_PAIRS,
    form: CnrForm = CnrForm.DIFFERENCE,
) -> Table:
    """CNR of tissue pairs in one or more images on a common grid, one row per pair.

    Args:
        images: name, such as "acquired" and "synthetic" → (slice, row, column).
        regions: tissue → its voxels, as a bool mask of the images' shape or as indices into the flattened image. Names are
            compared after `tissue_name`, and regions with the same name are merged.
        pairs, form: what to measure.

    Returns:
        See `cnr_table_of_samples`.

    Raises:
        InputError: images or masks of different shapes.
    """
    shapes = {np.shape(image) for image in images.values()} | {np.shape(r) for r in regions.values() if _is_mask(r)}
    if len(shapes) > 1:
        raise InputError("The images and regions lie on different grids; resample them onto one first.")
    voxels = tissue_voxels(regions)
    shared = {pair: shared_voxels(*(voxels.get(name, _NONE) for name in _tissues(pair))) for pair in pairs}
    samples = {name: samples_of(image, voxels) for name, image in images.items()}
    return cnr_table_of_samples(samples, dict.fromkeys(images, shared), pairs, form)


def tissue_voxels(regions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tissue → ascending indices of its voxels, from regions as in `cnr_table`."""
    voxels: dict[str, np.ndarray] = {}
    for name, region in regions.items():
        found = np.flatnonzero(region if _is_mask(region) else _mask(np.asarray(region, np.int64)))
        tissue = tissue_name(name)
        voxels[tissue] = joined_voxels([voxels[tissue], found]) if tissue in voxels else found
    return voxels


def samples_of(image: np.ndarray, voxels: Mapping[str, np.ndarray]) -> dict[str, TissueSample]:
    """Tissue → its sample in an image, at the voxels of `tissue_voxels`."""
    return {tissue: TissueSample.of(np.ravel(image)[found]) for tissue, found in voxels.items()}


def joined_voxels(regions: Sequence[np.ndarray]) -> np.ndarray:
    """The union of several regions; regions and result are ascending indices without repetition."""
    if len(regions) == 1:
        return regions[0]
    return np.flatnonzero(_mask(*regions))


def shared_voxels(first: np.ndarray, second: np.ndarray) -> int:
    """The number of voxels that two regions (see `joined_voxels`) share."""
    small, large = sorted((first, second), key=len)
    mask = _mask(small)
    return int(np.count_nonzero(mask[large[: np.searchsorted(large, mask.size)]]))


def cnr_table_of_samples(
    samples: Mapping[str, Mapping[str, TissueSample]],
    shared: Mapping[str, Mapping[TissuePair, int]],
    pairs: Sequence[TissuePair] = PAPER_PAIRS,
    form: CnrForm = CnrForm.DIFFERENCE,
) -> Table:
    """The table from samples, for images on different grids.

    Args:
        samples: image → tissue (see `tissue_name`) → its sample.
        shared: image → pair → number of voxels in both tissues.

    Returns:
        Columns "Pair", "CNR IMAGE" for each image, with two images "Ratio SECOND/FIRST"; mean, SD and voxel count of foreground
        and background for each image; "Definition"; "Note", which says why a number is missing.
    """
    images = tuple(samples)
    columns = [Column("Pair"), *(Column(f"{_CNR}{image}", "1") for image in images)]
    if len(images) == 2:
        columns.append(Column(f"Ratio {images[1]}/{images[0]}", "1"))
    for image in images:
        for region in _REGIONS:
            columns += [Column(f"{quantity} {region} {image}") for quantity in ("Mean", "SD", "Voxels")]
    columns += [Column("Definition"), Column("Note")]
    rows = tuple(_row(pair, samples, shared, form) for pair in pairs)
    notes = (f"CNR = {form.formula}; mean and SD (n − 1) of the voxels of foreground (f) and background (b).",)
    return Table("CNR between tissues", tuple(columns), rows, notes)


def cnr_measurements(table: Table) -> list[Measurement]:
    """The numbers of a table of `cnr_table`, one row for each pair and image, and for the ratio of two images.

    `measured_on` is "acquired STIR", "synthetic STIR over acquired STIR", ….
    """
    images = [column.name.removeprefix(_CNR) for column in table.columns if column.name.startswith(_CNR)]
    rows = []
    for cells in table.rows:
        row = dict(zip((column.name for column in table.columns), cells, strict=True))
        name, method, note = f"{_CNR}{row['Pair']}", str(row["Definition"]), str(row["Note"])
        counts = {image: sum(int(row[f"Voxels {region} {image}"] or 0) for region in _REGIONS) for image in images}
        for image in images:
            rows.append(_measurement(name, row[f"{_CNR}{image}"], f"{image} STIR", method, counts[image], note))
        if len(images) == 2:
            first, second = images
            ratio, where = row[f"Ratio {second}/{first}"], f"{second} STIR over {first} STIR"
            rows.append(_measurement(name, ratio, where, f"ratio of {method}", counts[first], note))
    return rows


def _measurement(name: str, cell: Cell, measured_on: str, method: str, n: int, note: str) -> Measurement:
    value = math.nan if cell is None else float(cell)
    return Measurement(name, value, "1", measured_on, method, n, note if math.isnan(value) else "")


def cnr_chart(table: Table) -> Chart:
    """The bar plot of a table of `cnr_table`, as in Figure 8: for each pair a bar for each image."""
    measured = [column.name for column in table.columns if column.name.startswith(_CNR)]
    colours = {"acquired": ACQUIRED, "synthetic": SYNTHETIC}
    series = []
    for column in measured:
        image = column.removeprefix(_CNR)
        series.append(
            Series(
                image,
                [math.nan if cell is None else float(cell) for cell in table.column(column)],
                colour=colours.get(image, BLACK),
            )
        )
    definitions = dict.fromkeys(table.column("Definition"))
    return Chart(
        title=table.title,
        x_title="Tissue pair (foreground–background)",
        y_title="; ".join(map(str, definitions)) or "CNR",
        series=tuple(series),
        kind=ChartKind.BAR,
        categories=tuple(map(str, table.column("Pair"))),
    )


_CNR = "CNR "
_REGIONS = ("foreground", "background")
_WHERE = "{where}"  # in the sentences of `_problem`
_NONE = np.empty(0, np.int64)


def _row(
    pair: TissuePair,
    samples: Mapping[str, Mapping[str, TissueSample]],
    shared: Mapping[str, Mapping[TissuePair, int]],
    form: CnrForm,
) -> tuple[Cell, ...]:
    names = _tissues(pair)
    values: dict[str, float] = {}
    details: list[Cell] = []
    problems: dict[str, list[str]] = {}  # sentence → the images it applies to
    for image, tissues in samples.items():
        f, b = (tissues.get(name, NO_VOXEL) for name in names)
        missing = [name for name in names if name not in tissues]
        if missing:
            problem = f"No region is called {' or '.join(missing)}; draw it, or rename a segment."
        elif count := shared[image][pair]:
            voxels = "voxel" if count == 1 else "voxels"
            problem = f"{names[0]} and {names[1]} overlap by {count} {voxels}{_WHERE}; assign each voxel to one tissue."
        else:
            problem = _problem(f, b, form, names)
        values[image] = float("nan") if problem else _value(f, b, form)
        if problem:
            problems.setdefault(problem, []).append(image)
        for sample in (f, b):
            details += [sample.mean, sample.sd, sample.n]
    notes = [problem.replace(_WHERE, f" ({' and '.join(images)} image)") for problem, images in problems.items()]
    ratio: list[Cell] = []
    if len(values) == 2:
        first, second = values
        ratio = [values[second] / values[first] if values[first] else float("nan")]
        if values[first] == 0:
            notes.append(f"The CNR of the {first} image is 0, so there is no ratio to it.")
    return (str(pair), *values.values(), *ratio, *details, f"CNR = {form.formula}", " ".join(notes))


def _problem(f: TissueSample, b: TissueSample, form: CnrForm, names: tuple[str, str]) -> str:
    """Why two samples have no CNR, with `_WHERE` for the place; empty if they have one."""
    for sample, name in zip((f, b), names, strict=True):
        if sample.n == 0:
            return f"The {name} region contains no voxel{_WHERE}; draw or choose another."
        if sample.n == 1:
            return f"The {name} region is one voxel{_WHERE}, which has no standard deviation; draw a larger one."
        if not (np.isfinite(sample.mean) and np.isfinite(sample.sd)):
            return f"The {name} region contains NaN or infinite voxels{_WHERE}; repair or mask them first."
    # Rounding may give a constant region a tiny SD instead of 0; a ratio to that would be rounding, not contrast.
    if _noise(f, b, form) <= 1e-9 * max(abs(f.mean), abs(b.mean), 1e-30):
        return f"The {names[1]} region does not vary (SD 0){_WHERE}, so its noise is undefined; choose another."
    return ""


def _value(f: TissueSample, b: TissueSample, form: CnrForm) -> float:
    signal = f.mean + b.mean if form is CnrForm.PRINTED else abs(f.mean - b.mean)
    return signal / _noise(f, b, form)


def _noise(f: TissueSample, b: TissueSample, form: CnrForm) -> float:
    return float(np.sqrt((f.sd**2 + b.sd**2) / 2)) if form is CnrForm.POOLED else b.sd


def _tissues(pair: TissuePair) -> tuple[str, str]:
    return tissue_name(pair.foreground), tissue_name(pair.background)


def _mask(*regions: np.ndarray) -> np.ndarray:
    """A mask of the regions' voxels, no longer than needed; sorting millions of indices would take seconds."""
    mask = np.zeros(max((region.max() + 1 for region in regions if region.size), default=0), bool)
    for region in regions:
        mask[region] = True
    return mask


def _is_mask(region: np.ndarray) -> bool:
    return np.asarray(region).dtype == bool
