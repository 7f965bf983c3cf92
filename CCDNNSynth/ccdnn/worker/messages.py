"""The messages between the worker and its client: one JSON object per line, requests on stdin, events on stdout.

Needs neither torch nor SimpleITK, so that the client (Slicer's own process) may import it to build requests.

Requests (`"request"` names the kind, `"id"` is a string or integer chosen by the client and returned in its events)

    {"request": "hello", "id": 1, "protocol": 2}
        Checks the versions and the devices; if PyTorch is installed it is loaded, which takes seconds the first time.
        → result {"protocol", "engine", "python", "library", "device", "reason"}: the device that "auto" selects, why, and
          the library that computes on it
    {"request": "synthesize", "id": 2, "inputs": {"t1": ARRAY, "t2": ARRAY, "gre": ARRAY}, "reference": "t1" | GRID,
     "model": MODEL, "device": "auto", "precision": "auto", "force": false, "slices": [first, stop] | null, "output": PATH,
     "uncertainty": PATH | null}
        → log, progress and slice events, then exactly one of result, cancelled, error
        ARRAY   {"path", "shape": [slices, rows, columns], "dtype": "int16", "ijk_to_ras": 4×4, "name", "acquisition", "patient"}: a
                raw file of the voxels, in C order and this machine's byte order. `acquisition` is optional: fields
                of `ccdnn.acquisition.Acquisition` that are known, such as {"tr_ms": 656, "te_ms": 14}, for warnings only. So is
                `patient`: the digests of `ccdnn.patient.Patient`, for detecting different patients.
        GRID    {"shape", "ijk_to_ras", "name"}: any other grid for the result to lie on
        MODEL   {"path", "sha256"}, hash optional | {"id"}: a bundled one | {}: the default one
        slices  those to compute, of the reference grid, from first to before stop ("Preview slice"); null is all.
                The voxels are the full run's, since intensities are still normalised by the whole volumes.
        uncertainty  a file for half the width of the 95 % interval at every voxel, like `output`; it is written at the end, if the
                model estimates its error. Null if it is not wanted.
        output  a file of float32 in the reference's shape, whatever `slices` is, created if missing. It is filled with 0 when
                the network starts; a slice may be read from it as soon as its event arrives. Without a result, its content is
                meaningless. The client deletes this file and those of the inputs.
    {"request": "cancel", "id": 2}
        The id of the synthesis to stop, running or waiting; it takes effect before the next batch of slices, and the answer is
        that run's `cancelled`. One that arrives too late is not answered: the result stands.
    {"request": "shutdown"}
        Stops the run in progress, and ends the process with exit code 0. So does the end of stdin: no worker outlives its client.

Requests that arrive during a run are queued, except cancel and shutdown.

Events (`"event"` names the kind, `"id"` is the request's, null if there is none)

    {"event": "ready", "id": null, "protocol": 2, "engine": "0.1.0", "python": "3.12.3", "pid": 4711}   once, before all others
    {"event": "log", "id", "level": "info" | "note" | "warning" | "debug", "text"}     note and warning are sentences for the user,
                                        info describes what is being done, debug is a traceback
    {"event": "progress", "id", "done", "total"}                 slices; the first, with done 0, when the network starts
    {"event": "slice", "id", "index"}                            this slice of `output` is finished
    {"event": "result", "id", ...}                               see hello; of a synthesis: "output", "shape", "ijk_to_ras",
                                        "slices": [first, stop], "name", "header": {key: text}, "coverage": {role: share},
                                        "covered_by_all": share, "model": {"name", "version", "sha256"}, "device", "precision",
                                        "reasons", "notes", "warnings", "seconds": {step: s},
                                        "uncertainty": null | {"output", "header": {key: text}},
                                        "familiarity": null | {"share", "limit", "by_slice": [share | null, …], "text"}
    {"event": "cancelled", "id", "text"}
    {"event": "error", "id", "kind", "text", "exit_code"}        `text` is a sentence for the user. The worker keeps running.

Kinds of errors: `input`, `model`, `output` (`ccdnn.errors`); `device`: likewise, and a new worker is then safer, because
a GPU that failed once stays unusable in this process; `package_missing`; `protocol`: an invalid request; `version`: the client
uses another version; `bug`: anything else, with its traceback in a log event. No event contains patient data, provided that the
names in the request contain none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

from ccdnn.acquisition import NUMBERS, Acquisition, Technique
from ccdnn.errors import CcdnnError, DeviceError, InputError, ModelError, OutputError
from ccdnn.patient import Patient
from ccdnn.series import Role

MESSAGES_VERSION = 2

# The voxel types that scanners and image-processing programs store, by their NumPy names.
DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
OUTPUT_DTYPE = "float32"

# The kinds of errors that are classes of `ccdnn.errors`.
ERROR_KINDS: dict[type[CcdnnError], str] = {InputError: "input", ModelError: "model", OutputError: "output", DeviceError: "device"}

Id = str | int


class MessageError(CcdnnError):
    """A line that is not a request this worker understands; `request_id` is its id, if it could be read."""

    exit_code = 2
    kind = "protocol"

    def __init__(self, message: str, request_id: Id | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id


@dataclass(frozen=True)
class ArrayFile:
    """ARRAY, or GRID if `path` is None: see the top of this module."""

    shape: tuple[int, ...]
    ijk_to_ras: list[list[float]]
    name: str
    path: Path | None = None
    dtype: str = OUTPUT_DTYPE
    acquisition: Acquisition = field(default_factory=Acquisition)
    patient: Patient = field(default_factory=Patient)

    def to_json(self) -> dict[str, Any]:
        entries: dict[str, Any] = {"shape": list(self.shape), "ijk_to_ras": self.ijk_to_ras, "name": self.name}
        if self.path is None:
            return entries
        acquisition, patient = acquisition_to_json(self.acquisition), self.patient.entries()
        return {**entries, "path": str(self.path), "dtype": self.dtype, "acquisition": acquisition, "patient": patient}


@dataclass(frozen=True)
class ModelChoice:
    """MODEL: a file, a bundled model by its id, or neither for the default one."""

    id: str | None = None
    path: Path | None = None
    sha256: str | None = None

    def to_json(self) -> dict[str, str]:
        return {key: str(value) for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Hello:
    id: Id
    version: int = MESSAGES_VERSION

    def to_json(self) -> dict[str, Any]:
        return {"request": "hello", "id": self.id, "protocol": self.version}


@dataclass(frozen=True)
class Synthesize:
    id: Id
    inputs: Mapping[Role, ArrayFile]
    output: Path
    reference: Role | ArrayFile = Role.T1
    model: ModelChoice = field(default_factory=ModelChoice)
    device: str = "auto"
    precision: str = "auto"
    force: bool = False
    slices: tuple[int, int] | None = None
    uncertainty: Path | None = None

    def to_json(self) -> dict[str, Any]:
        reference = self.reference.value if isinstance(self.reference, Role) else self.reference.to_json()
        return {
            "request": "synthesize",
            "id": self.id,
            "inputs": {role.value: array.to_json() for role, array in self.inputs.items()},
            "reference": reference,
            "model": self.model.to_json(),
            "device": self.device,
            "precision": self.precision,
            "force": self.force,
            "slices": None if self.slices is None else list(self.slices),
            "output": str(self.output),
            "uncertainty": None if self.uncertainty is None else str(self.uncertainty),
        }


@dataclass(frozen=True)
class Cancel:
    id: Id

    def to_json(self) -> dict[str, Any]:
        return {"request": "cancel", "id": self.id}


@dataclass(frozen=True)
class Shutdown:
    def to_json(self) -> dict[str, Any]:
        return {"request": "shutdown"}


Request = Hello | Synthesize | Cancel | Shutdown


def encode(message: Mapping[str, Any]) -> bytes:
    """One line. ASCII only, so that no console or pipe encoding can corrupt it."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def acquisition_to_json(acquisition: Acquisition) -> dict[str, Any]:
    """The fields that are known."""
    known = {key: value for key, value in asdict(acquisition).items() if value is not None and value != ()}
    return {key: value.value if isinstance(value, Enum) else value for key, value in known.items()}


def parse_request(line: bytes) -> Request:
    """Parse the request in a line.

    Raises:
        MessageError: it is not a JSON object, its kind is unknown, or a field is missing or has the wrong type.
    """
    try:
        entries = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MessageError("The line is not a JSON object in UTF-8.") from None
    if not isinstance(entries, dict):
        raise MessageError("The line is not a JSON object.")
    request_id = entries.get("id") if _is_id(entries.get("id")) else None
    try:
        return _parsed(entries)
    except MessageError as error:
        raise MessageError(str(error), request_id) from None


def _parsed(entries: dict[str, Any]) -> Request:
    kind = entries.get("request")
    if kind == "shutdown":
        return Shutdown()
    if kind not in ("hello", "synthesize", "cancel"):
        raise MessageError(f"{_shown(kind)} is not a request; expected hello, synthesize, cancel or shutdown.")
    if not _is_id(entries.get("id")):
        raise MessageError(f"A {kind} request needs an id, a text or a whole number.")
    if kind == "cancel":
        return Cancel(entries["id"])
    if kind == "hello":
        return Hello(entries["id"], _take(entries, "protocol", int))
    output, uncertainty = _needed_path(entries, "output"), _path(entries, "uncertainty", None)
    if output == uncertainty:
        raise MessageError("The fields output and uncertainty name the same file.")
    return Synthesize(
        id=entries["id"],
        inputs={_role(name): _array(entry, f"inputs.{name}") for name, entry in _take(entries, "inputs", dict).items()},
        output=output,
        reference=_reference(entries.get("reference", Role.T1.value)),
        model=_model(_take(entries, "model", dict, {})),
        device=_take(entries, "device", str, "auto"),
        precision=_take(entries, "precision", str, "auto"),
        force=_take(entries, "force", bool, False),
        slices=_slices(entries.get("slices")),
        uncertainty=uncertainty,
    )


_REQUIRED = object()


def _take(entries: dict[str, Any], key: str, kind: type, default: Any = _REQUIRED) -> Any:
    value = entries.get(key, default)
    if value is _REQUIRED:
        raise MessageError(f"The field {key} is missing.")
    # True is an int in Python, not in a message.
    if value is not default and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise MessageError(f"The field {key} is {_shown(value)}, not of type {kind.__name__}.")
    return value


def _path(entries: dict[str, Any], key: str, default: Any = _REQUIRED) -> Path | None:
    text = _take(entries, key, str, default)
    if text is not None and (not text or "\0" in text):
        raise MessageError(f"The field {key} is {_shown(text)}, which is not a path.")
    return None if text is None else Path(text)


def _needed_path(entries: dict[str, Any], key: str) -> Path:
    path = _path(entries, key)
    if path is None:
        raise MessageError(f"The field {key} is missing.")
    return path


def _array(entries: Any, where: str) -> ArrayFile:
    grid = _grid(entries, where)
    dtype = _take(entries, "dtype", str)
    if dtype not in DTYPES:
        raise MessageError(f"The dtype of {where} is {_shown(dtype)}; expected one of {', '.join(DTYPES)}.")
    acquisition = _acquisition(_take(entries, "acquisition", dict, {}), where)
    try:
        patient = Patient.of_entries(_take(entries, "patient", dict, {}))
    except ValueError:
        raise MessageError(f"The patient of {where} does not consist of digests.") from None
    return ArrayFile(grid.shape, grid.ijk_to_ras, grid.name, _path(entries, "path"), dtype, acquisition, patient)


def _grid(entries: Any, where: str) -> ArrayFile:
    if not isinstance(entries, dict):
        raise MessageError(f"{where} is {_shown(entries)}, not an object.")
    shape = _take(entries, "shape", list)
    matrix = _take(entries, "ijk_to_ras", list)
    # The engine checks the number of dimensions, with a message for the user.
    if not shape or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape):
        raise MessageError(f"The shape of {where} is {_shown(shape)}, not a list of whole numbers.")
    if len(matrix) != 4 or not all(isinstance(row, list) and len(row) == 4 and all(map(_is_number, row)) for row in matrix):
        raise MessageError(f"The ijk_to_ras of {where} is {_shown(matrix)}, not a 4×4 matrix of finite numbers.")
    return ArrayFile(tuple(shape), matrix, _take(entries, "name", str))


def _acquisition(entries: dict[str, Any], where: str) -> Acquisition:
    values = dict(entries)
    if unknown := set(values) - {field.name for field in fields(Acquisition)}:
        raise MessageError(f"The acquisition of {where} has the unknown field {_shown(min(unknown))}.")
    try:
        if values.get("technique") is not None:
            values["technique"] = Technique(values["technique"])
        values["image_type"] = tuple(str(value) for value in values.get("image_type", ()))
    except (ValueError, TypeError):
        raise MessageError(f"The acquisition of {where} is {_shown(entries)}, not the fields of one.") from None
    for key in NUMBERS:
        if values.get(key) is not None and not _is_number(values[key]):
            raise MessageError(f"The {key} of {where} is {_shown(values[key])}, not a number.")
    return Acquisition(**values)


def _reference(value: Any) -> Role | ArrayFile:
    return _role(value) if isinstance(value, str) else _grid(value, "reference")


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise MessageError(f"{_shown(name)} is not a role; expected one of {', '.join(role.value for role in Role)}.") from None


def _model(entries: dict[str, Any]) -> ModelChoice:
    choice = ModelChoice(_take(entries, "id", str, None), _path(entries, "path", None), _take(entries, "sha256", str, None))
    if choice.id is not None and (choice.path, choice.sha256) != (None, None):
        raise MessageError("A model has an id or a path, not both; a sha256 belongs to a path.")
    return choice


def _slices(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) for n in value):
        raise MessageError(f"The field slices is {_shown(value)}, not [first, stop].")
    return value[0], value[1]


def _is_id(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    # Comparing, unlike isfinite, accepts integers of any size; it is False for NaN.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"
