"""One study from disk to disk: choose its series, synthesise, write the result as an image file or a DICOM series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ccdnn.errors import InputError, OutputError
from ccdnn.files import check_writable
from ccdnn.selection import Selector
from ccdnn.series import Role, Series
from ccdnn.writing import require_no_input, require_outside, require_writable, suffix_of

if TYPE_CHECKING:
    from ccdnn.inference.synthesizer import Synthesizer
    from ccdnn.synthesis import SynthesisResult

DICOM = "dicom"
MAP_SUFFIX = ".dcm"  # of an uncertainty map that is a DICOM Parametric Map


@dataclass(frozen=True)
class StudyChoice:
    """Which series of a study to use.

    Args:
        study: the folder or file to search; None if every series is named.
        series: role → a series as `ccdnn.selection` reads it, or "none"; the study's own where a role is left out.
        reference: role or series whose grid the result has.
    """

    study: Path | None
    series: Mapping[Role, str] = field(default_factory=dict)
    reference: str = Role.T1.value


@dataclass(frozen=True)
class StudySynthesis:
    """A result with the series that it was made from.

    Args:
        result: the synthetic volume, and how it was made.
        series: role → the series used as it.
        rows: role → the row of `ccdnn inspect` in which its series is; "" for a file of its own.
        missing: the model's inputs that it was made without.
        reference: the series whose grid the result has.
        problems: a sentence for each file of the study that could not be read.
    """

    result: SynthesisResult
    series: Mapping[Role, Series]
    rows: Mapping[Role, str]
    missing: tuple[Role, ...]
    reference: Series
    problems: tuple[str, ...]


def synthesize_study(
    choice: StudyChoice,
    synthesizer: Synthesizer,
    *,
    force: bool = False,
    with_names: bool = False,
    output: Path | None = None,
    on_series: Callable[[Mapping[Role, Series], tuple[str, ...]], None] | None = None,
    on_message: Callable[[str, str], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> StudySynthesis:
    """Choose the series and synthesise.

    Args:
        force, with_names, on_message, on_progress: see `ccdnn.synthesis.synthesize`.
        output: where the result will be written; an input there is refused before anything is computed.
        on_series: called with the chosen series and the problems, before they are loaded.

    Raises:
        InputError: a role without a series, or with several that fit; or see `synthesize`.
        DeviceError, ModelError: see `synthesize`.
        OutputError: `output` is an input.
    """
    from ccdnn.synthesis import synthesize

    card = synthesizer.model.card
    selector = Selector(choice.study)
    series = selector.for_roles([Role(role) for role in card.roles], choice.series, [Role(role) for role in card.optional])
    target = selector.reference(choice.reference, series)
    files = (*selector.used_files, synthesizer.model.path)
    if output is not None:
        require_no_input([output], files)
    if on_series is not None:
        on_series(series, selector.problems)
    volumes = {role: found.load() for role, found in series.items()}
    result = synthesize(
        volumes,
        synthesizer,
        reference=target if isinstance(target, Role) else target.load(),
        acquisitions={role: found.acquisition for role, found in series.items()},
        force=force,
        with_names=with_names,
        on_message=on_message,
        on_progress=on_progress,
    )
    return StudySynthesis(
        replace(result, files=files),
        series,
        rows={role: selector.row_of(found) for role, found in series.items()},
        missing=tuple(Role(role) for role in card.roles if Role(role) not in series),
        reference=series[target] if isinstance(target, Role) else target,
        problems=selector.problems,
    )


def check_output(path: Path, form: str | None) -> None:
    """Check, before the work is done, that a result can be written.

    Args:
        form: a suffix such as ".nrrd", or `DICOM` for a folder; None for the file's own suffix.

    Raises:
        OutputError: unknown suffix, no such folder, or no permission; a DICOM folder that is not empty.
    """
    if form == DICOM:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise OutputError(f"{path} is not an empty folder; name a new one for the DICOM series.")
    else:
        check_writable(path)


def check_uncertainty_output(path: Path, output: Path, form: str | None) -> None:
    """Check, before the work is done, that the uncertainty map can be written.

    Args:
        path: an image file, or a file ".dcm" for a DICOM Parametric Map.
        output, form: of the result, see `check_output`.

    Raises:
        OutputError: unknown suffix, no such folder, or no permission; a Parametric Map without a DICOM series to belong to, or in
            the folder of the series.
    """
    if suffix_of(path) != MAP_SUFFIX:
        check_writable(path)
        return
    if form != DICOM:
        raise OutputError(f"{path} would belong to a DICOM series; add --format dicom, or name an image file such as .nrrd.")
    require_outside(path, output)
    require_writable(path)


def write_result(
    made: StudySynthesis, path: Path, form: str | None = None, *, force: bool = False, uncertainty: Path | None = None
) -> tuple[str, ...]:
    """Write the volume, and return a sentence for each value that had to change to conform to DICOM.

    Args:
        form: see `check_output`. A DICOM series joins the study of the reference.
        force: export even if the sources belong to different patients.
        uncertainty: where to write the uncertainty map too, see `check_uncertainty_output`.

    Raises:
        InputError: the reference is not a DICOM series, or the model does not estimate its error.
        OutputError: it cannot be written.
    """
    if uncertainty is not None:
        made.result.require_uncertainty()
        require_no_input([uncertainty], made.result.files)
    changes: tuple[str, ...] = ()
    as_map = uncertainty is not None and suffix_of(uncertainty) == MAP_SUFFIX
    if form == DICOM:
        changes = _write_series(made, path, force, uncertainty if as_map else None)
    else:
        made.result.save(path)
    if uncertainty is not None and not as_map:
        made.result.save_uncertainty(uncertainty)
    return changes


def _write_series(made: StudySynthesis, folder: Path, force: bool, map_file: Path | None) -> tuple[str, ...]:
    from ccdnn.dicom.export import export_series

    if not _is_dicom(made.reference):
        raise InputError(
            f"{made.reference.name} is not a DICOM series, so that the result has no DICOM study to belong to; write it as .nrrd, "
            "and use `ccdnn export-dicom --no-reference` for a study of an anonymous patient."
        )
    sources = [series.files for series in made.series.values() if _is_dicom(series) and series.files != made.reference.files]
    return export_series(
        made.result.volume,
        folder,
        made.reference.files,
        sources,
        force=force,
        uncertainty=None if map_file is None else made.result.uncertainty,
        uncertainty_file=map_file,
    ).changes


def _is_dicom(series: Series) -> bool:
    return bool(series.provenance.get("series_instance_uid"))
