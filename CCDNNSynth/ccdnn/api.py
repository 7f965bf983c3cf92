"""CC-DNN in Python: the names that `import ccdnn` offers.

    import ccdnn

    result = ccdnn.synthesize_study("study")
    result.save("stir.nrrd")
    print(ccdnn.measure("acquired.nrrd", result).tables["Similarity"].to_csv())

Images may be files or in memory, see `ImageLike`. Nothing is printed, and only `SynthesisResult.save` writes. Every error that a
user can fix is a `CcdnnError`, with a message of one sentence. Research use only, not for diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from ccdnn.acquisition import Acquisition
from ccdnn.conversion import volume_of
from ccdnn.errors import CcdnnError, DeviceError, InputError, ModelError, OutputError
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.measure.cnr import CnrForm, parse_pairs
from ccdnn.measure.comparison import Measurements, measure_images, on_one_grid
from ccdnn.measure.labels import Labels, labels_of, read_label_map, read_names, values_of
from ccdnn.measure.overlap import MENISCUS_THRESHOLD
from ccdnn.measure.profile import Image
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.table import Table
from ccdnn.model.catalog import resolve_model
from ccdnn.selection import Selector
from ccdnn.series import INPUT_ROLES, Role, Series
from ccdnn.study import Study, read_study
from ccdnn.study_synthesis import StudyChoice
from ccdnn.study_synthesis import synthesize_study as choose_and_synthesize
from ccdnn.synthesis import SynthesisResult
from ccdnn.synthesis import synthesize as synthesize_volumes
from ccdnn.volume import Volume

if TYPE_CHECKING:
    import SimpleITK as sitk
    from nibabel.spatialimages import SpatialImage

__all__ = [
    "CcdnnError",
    "DeviceError",
    "InputError",
    "Measurements",
    "ModelError",
    "OutputError",
    "Role",
    "Series",
    "Study",
    "SynthesisResult",
    "Synthesizer",
    "Table",
    "Volume",
    "inspect",
    "load_model",
    "measure",
    "synthesize",
    "synthesize_study",
]

PathOrText: TypeAlias = str | PathLike[str]
SeriesName: TypeAlias = str | PathLike[str] | int
"""A path, "FOLDER::ROW", or a row of the study, as `ccdnn.selection` reads it."""
ImageLike: TypeAlias = (
    "str | PathLike[str] | Series | Volume | SynthesisResult | sitk.Image | SpatialImage | tuple[np.ndarray, np.ndarray]"
)
"""An image: the path of a file or of a folder with one series, "FOLDER::ROW", a `Series`, a `Volume`, a result, an image of
SimpleITK or nibabel, or a pair (array, affine) in nibabel's order: array[i, j, k], affine 4×4 to RAS in mm."""
ModelLike: TypeAlias = str | PathLike[str] | Synthesizer
"""The name of a bundled model, a model file, or a loaded model."""

_Choice = TypeVar("_Choice", bound=Enum)


def inspect(path: PathOrText) -> Study:
    """The series at a path, as `ccdnn inspect` lists them: `inspect(path).series[0]` is its row 1. No voxels are read.

    Raises:
        InputError: there is no such path, or no image in it.

    Example:
        >>> for series in ccdnn.inspect("study").series:  # doctest: +SKIP
        ...     print(series.role.label, series.name, series.grid)
        T1-w t1.nrrd 320×384×24 at 0.417×0.417×4 mm
    """
    return read_study(_path(path, "path"))


def load_model(
    model: PathOrText | None = None, *, device: str = "auto", precision: str = "auto", threads: int | None = None
) -> Synthesizer:
    """A model on its device, for many studies: pass it as `model` to `synthesize` or `synthesize_study`.

    Args:
        model: a bundled model or a model file; None for the default.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        precision: "auto", "fp32", "fp16", "bf16" or "mixed", see `Synthesizer`.
        threads: CPU threads; None for all.

    Raises:
        ModelError, DeviceError: the model, the device or the precision cannot be used.

    >>> load_model(device="cpu", precision="fp32").model.card.roles
    ('t1', 't2', 'gre')
    """
    return Synthesizer(resolve_model(None if model is None else str(_path(model, "model"))), device, precision, threads=threads)


def synthesize_study(
    study: PathOrText,
    *,
    t1: SeriesName | None = None,
    t2: SeriesName | None = None,
    gre: SeriesName | None = None,
    reference: SeriesName = "t1",
    model: ModelLike | None = None,
    device: str = "auto",
    precision: str = "auto",
    force: bool = False,
) -> SynthesisResult:
    """The synthetic STIR of a study, as `ccdnn synthesize STUDY` makes it.

    Args:
        study: the folder or file to search for the series.
        t1, t2, gre: the series to use: a path, "FOLDER::ROW", a row of `ccdnn inspect` (2 or "2"), or "none" to leave it out. With
            None, it is identified by its sequence parameters.
        reference: "t1", "t2", "gre" or a series; the result has its grid.
        model, device, precision: see `load_model`. A model that is loaded already keeps its device and precision.
        force: continue even if an input covers less than half of the reference, or the series are of different patients.

    Returns:
        The volume, with the warnings that the command prints.

    Raises:
        InputError: a role without a series or with several that fit, or an unusable series; see `ccdnn.synthesis.synthesize`.
        ModelError, DeviceError: see `load_model`.

    Example:
        >>> model = ccdnn.load_model(device="cpu")  # doctest: +SKIP
        >>> for folder in Path("studies").iterdir():  # doctest: +SKIP
        ...     ccdnn.synthesize_study(folder, model=model).save(f"{folder.name}.nii.gz")
    """
    chosen = {role: _series_name(text, role.value) for role, text in _by_role(t1, t2, gre).items()}
    choice = StudyChoice(_path(study, "study"), chosen, _series_name(reference, "reference"))
    made = choose_and_synthesize(choice, _synthesizer(model, device, precision), force=force)
    return _with_problems(made.result, made.problems)


def synthesize(
    t1: ImageLike | None,
    t2: ImageLike | None,
    gre: ImageLike | None = None,
    *,
    reference: ImageLike = "t1",
    model: ModelLike | None = None,
    device: str = "auto",
    precision: str = "auto",
    force: bool = False,
) -> SynthesisResult:
    """The synthetic STIR of a T1-w, a T2-w and a GRE image of one knee.

    Args:
        t1, t2, gre: the images, see `ImageLike`; None to leave one out, if the model does not need it.
        reference: "t1", "t2", "gre" or another image; the result has its grid.
        model, device, precision, force: see `synthesize_study`.

    Raises:
        InputError: an image that cannot be used, or is missing; see `ccdnn.synthesis.synthesize`.
        ModelError, DeviceError: see `load_model`.

    Example:
        >>> t1, t2, gre = (nibabel.load(f"{name}.nii.gz") for name in ("t1", "t2", "gre"))  # doctest: +SKIP
        >>> result = ccdnn.synthesize(t1, t2, gre)  # doctest: +SKIP
        >>> result.to_nibabel().shape == t1.shape  # doctest: +SKIP
        True
    """
    synthesizer = _synthesizer(model, device, precision)
    images = _Images()
    volumes, acquisitions = {}, {}
    for role, image in _by_role(t1, t2, gre).items():
        volumes[role], acquisition = images.load(image, role.value)
        if acquisition is not None:
            acquisitions[role] = acquisition
    is_role = isinstance(reference, str) and reference in [role.value for role in INPUT_ROLES]
    target = Role(reference) if is_role else images.load(reference, "reference")[0]
    result = synthesize_volumes(volumes, synthesizer, reference=target, acquisitions=acquisitions, force=force)
    result = replace(result, files=(*images.files, synthesizer.model.path))
    return _with_problems(result, images.selector.problems)


def measure(
    acquired: ImageLike | None = None,
    synthetic: ImageLike | None = None,
    *,
    t1: ImageLike | None = None,
    t2: ImageLike | None = None,
    gre: ImageLike | None = None,
    uncertainty: ImageLike | None = None,
    labels: ImageLike | None = None,
    names: PathOrText | Mapping[int, str] | Mapping[str, str] | None = None,
    pairs: str = "",
    form: CnrForm | str = CnrForm.DIFFERENCE,
    line: Sequence[Sequence[float]] | np.ndarray | None = None,
    scaling: Scaling | str = Scaling.TISSUE,
    mask: str | None = None,
    threshold: float = MENISCUS_THRESHOLD,
    force: bool = False,
) -> Measurements:
    """Compare an acquired and a synthetic STIR, as `ccdnn measure` does.

    Args:
        acquired, synthetic: the two STIRs, or one of them; see `ImageLike`.
        t1, t2, gre: other images, of which profiles are taken too.
        uncertainty: of the synthetic STIR, as `SynthesisResult.save_uncertainty` writes it; None for that of `synthetic` itself, if
            it is a result that has one.
        labels: a label map of the tissues, on the grid of the acquired STIR, else of the synthetic one.
        names: the names of its labels: a JSON file or a mapping {1: "fat", …}. None for the names in the label map or beside it.
        pairs: foreground and background of each CNR, "fat/muscle; muscle/bone"; "" for the five of the paper.
        form: the formula of the CNR: "difference", "printed" or "pooled", see `CnrForm`.
        line: (n, 3) corners of the line of the profiles, in mm RAS.
        scaling: how the STIRs are scaled to 0–1: "tissue", "percentile", "minmax" or "none", see `Scaling`.
        mask: the label inside which the similarity is measured; None for everywhere, including air.
        threshold: of the segmentations that are compared by Dice overlap, on images scaled to 0–1.
        force: measure even if the images are of different patients.

    Returns:
        The tables by title, in `tables`: "Similarity" with both STIRs, "CNR between tissues" with labels, "Line profile" with a
        line, and tables of the slices and samples.

    Raises:
        InputError: an image, the labels, the line or an option cannot be used, or there is nothing to measure.

    >>> stir = np.random.default_rng(0).random((64, 64, 4))
    >>> measured = measure((stir, np.eye(4)), (stir / 2, np.eye(4)), scaling="percentile")
    >>> measured.tables["Similarity"].column("name")
    ('MSE', 'PSNR', 'SSIM', 'MS-SSIM', 'Dice')
    """
    run = partial(
        measure_images,
        pairs=parse_pairs(pairs),
        form=_choice(CnrForm, form, "form"),
        line=None if line is None else _line(line),
        scaling=_choice(Scaling, scaling, "scaling"),
        mask=mask,
        threshold=threshold,
    )
    images = _Images()
    given = {Image.ACQUIRED: acquired, Image.SYNTHETIC: synthetic, Image.T1: t1, Image.T2: t2, Image.GRE: gre}
    volumes = {image: images.load(value, image.name.lower())[0] for image, value in given.items() if value is not None}
    if uncertainty is None and isinstance(synthetic, SynthesisResult):
        uncertainty = synthetic.uncertainty
    half_widths = None if uncertainty is None else images.load(uncertainty, "uncertainty")[0]
    tissues = None if labels is None else _labels(images, labels, names)
    measured = run(on_one_grid(volumes, tissues, half_widths, force=force))
    if not measured.sections:
        raise InputError("There is nothing to measure: give both STIRs for similarity, labels for CNR, or a line for profiles.")
    return replace(measured, warnings=(*measured.warnings, *images.selector.problems))


# ---------------------------------------------------------------------------------------------------------------- inputs


class _Images:
    """Loads images of any kind.

    Attributes:
        files: what they were read from.
        selector: finds the series at a path, each of which is searched once.
    """

    def __init__(self) -> None:
        self.selector = Selector(None)
        self.files: list[Path] = []

    def series(self, image: Any) -> Series | None:
        """The series of an image on disk."""
        if isinstance(image, (str, PathLike)):
            image = self.selector.one(fspath(image))
        if not isinstance(image, Series):
            return None
        self.files += image.files
        return image

    def load(self, image: Any, name: str) -> tuple[Volume, Acquisition | None]:
        """The volume, and how it was acquired if that is known; `name` is used in messages."""
        if (series := self.series(image)) is not None:
            return series.load(), series.acquisition
        return image.volume if isinstance(image, SynthesisResult) else volume_of(image, name), None


def _labels(images: _Images, labels: Any, names: Any) -> Labels:
    if isinstance(names, Mapping):
        try:
            values = values_of({str(value): name for value, name in names.items()})
        except ValueError as error:
            raise InputError(f"The name of the label {error} is missing or not a text; write names={{1: 'fat', …}}.") from None
        return labels_of(images.load(labels, "labels")[0], values)
    file = None if names is None else _path(names, "names")
    if (series := images.series(labels)) is not None:
        return read_label_map(series, file)
    return labels_of(images.load(labels, "labels")[0], read_names(file) if file else None)


def _line(line: Any) -> np.ndarray:
    try:
        points = np.asarray(line, np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError("The line must be points [[R, A, S], [R, A, S]] in mm, such as [[-12, 30, 5], [-12, 30, -20]].")
    return points


def _choice(kind: type[_Choice], value: Any, name: str) -> _Choice:
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{value!r} is not a {name}; use {', '.join(str(choice.value) for choice in kind)}.") from None


def _by_role(t1: Any, t2: Any, gre: Any) -> dict[Role, Any]:
    return {role: image for role, image in zip(INPUT_ROLES, (t1, t2, gre), strict=True) if image is not None}


def _path(path: Any, name: str) -> Path:
    if not isinstance(path, (str, PathLike)):
        raise InputError(f"{name} is of the type {type(path).__name__}; give a path.")
    return Path(path)


def _series_name(series: Any, name: str) -> str:
    if isinstance(series, int) and not isinstance(series, bool):
        return str(series)
    if not isinstance(series, (str, PathLike)):
        raise InputError(
            f"{name} is of the type {type(series).__name__}; give a path, FOLDER::ROW, a row of the study or “none”, or use "
            "ccdnn.synthesize for images in memory."
        )
    return fspath(series)


def _synthesizer(model: Any, device: str, precision: str) -> Synthesizer:
    if not isinstance(model, Synthesizer):
        return load_model(model, device=device, precision=precision)
    if (device, precision) != ("auto", "auto"):
        raise InputError("The model is loaded already, so its device and precision are chosen; choose them in ccdnn.load_model.")
    return model


def _with_problems(result: SynthesisResult, problems: Sequence[str]) -> SynthesisResult:
    return replace(result, warnings=(*problems, *result.warnings))
