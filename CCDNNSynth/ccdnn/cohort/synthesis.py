"""The synthesis of each of many studies."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ccdnn.cohort.run import Work
from ccdnn.cohort.studies import NamedStudy
from ccdnn.series import INPUT_ROLES
from ccdnn.study_synthesis import DICOM, check_output, synthesize_study, write_result

if TYPE_CHECKING:
    from ccdnn.inference.synthesizer import Synthesizer


@dataclass(frozen=True)
class SynthesisTask:
    """Makes the synthetic STIR of a study; a `ccdnn.cohort.run.Task`.

    Args:
        model: path of the model file, on every machine of a cluster the same.
        sha256: of that file.
        device, precision, batch, threads: see `Synthesizer`.
        form: see `ccdnn.study_synthesis.check_output`.
        force, with_names: see `ccdnn.synthesis.synthesize`.

    Its columns are the series used, as rows of `ccdnn inspect`; the share of the reference that all inputs cover; the inputs of
    the model that it was made without; what computed it; and how many of its seconds the network took.
    """

    model: str
    sha256: str
    device: str = "auto"
    precision: str = "auto"
    batch: int | None = None
    threads: int | None = None
    form: str = ".nrrd"
    force: bool = False
    with_names: bool = False

    columns: ClassVar[tuple[str, ...]] = (
        *(role.value for role in INPUT_ROLES),
        "covered_by_all",
        "without",
        "device",
        "precision",
        "network_seconds",
    )

    @property
    def fingerprint(self) -> str:
        result = {k: v for k, v in asdict(self).items() if k not in ("model", "batch", "threads", "device", "precision")}
        return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()[:16]

    def output_of(self, study: NamedStudy) -> str:
        return study.name + ("" if self.form == DICOM else self.form)

    def make(self, study: NamedStudy, output: Path, work: Work) -> None:
        check_output(output, self.form)
        made = synthesize_study(
            study.choice,
            _synthesizer(self),
            force=self.force,
            with_names=self.with_names,
            output=output,
            on_message=lambda kind, sentence: work.warnings.append(sentence) if kind == "warning" else None,
        )
        work.warnings += made.problems
        work.writing()
        work.warnings += write_result(made, output, self.form, force=self.force)
        result = made.result
        work.details = {
            **{role.value: row for role, row in made.rows.items()},
            "covered_by_all": round(float(result.covered.mean()), 4),
            "without": ", ".join(role.label for role in made.missing),
            "device": result.device,
            "precision": result.precision,
            "network_seconds": round(result.seconds["network"], 2),
        }


@lru_cache(maxsize=1)
def _synthesizer(task: SynthesisTask) -> Synthesizer:
    """The model of this process, loaded once."""
    from ccdnn.inference.synthesizer import Synthesizer
    from ccdnn.model.file import load_model

    model = load_model(task.model, task.sha256)
    return Synthesizer(model, task.device, task.precision, task.batch, task.threads)
