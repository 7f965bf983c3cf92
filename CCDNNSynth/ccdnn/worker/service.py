"""How the worker handles requests. The engine is loaded with the first one, so that the process itself starts immediately; the
model stays loaded for the next one."""

from __future__ import annotations

import importlib
import platform
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ccdnn import __version__
from ccdnn.errors import Cancelled, CcdnnError, DeviceError
from ccdnn.inference.backend import is_out_of_memory
from ccdnn.series import Role
from ccdnn.volume import Grid, Volume
from ccdnn.worker.arrays import SlicesFile, empty_volume, read_volume
from ccdnn.worker.messages import ERROR_KINDS, MESSAGES_VERSION, Hello, Id, ModelChoice, Synthesize
from ccdnn.writing import require_no_input

if TYPE_CHECKING:
    from ccdnn.inference.synthesizer import Synthesizer
    from ccdnn.model.file import Model
    from ccdnn.synthesis import SynthesisResult


class SetupError(CcdnnError):
    """Something missing from the worker's installation; `kind` identifies what the client can offer."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Service:
    """Answers requests one after the other.

    Args:
        emit: called with an event's name, the request's id and the event's fields.
    """

    def __init__(self, emit: Callable[..., None]) -> None:
        self._emit = emit
        self._warm: tuple[Any, Synthesizer] | None = None

    def answer(self, request: Hello | Synthesize, cancelled: Callable[[], bool]) -> None:
        """Process the request and emit its result, its cancellation or its error; nothing is raised."""
        try:
            fields = self._hello(request) if isinstance(request, Hello) else self._synthesize(request, cancelled)
            self._emit("result", request.id, **fields)
        except Cancelled as error:
            self._emit("cancelled", request.id, text=str(error))
        except CcdnnError as error:
            self._fail(request.id, error)
        except ModuleNotFoundError as error:
            self._fail(request.id, SetupError("package_missing", f"The Python package {error.name} is not installed."))
        except Exception as error:
            if is_out_of_memory(error):
                self._fail(request.id, DeviceError("There is not enough memory; close other programs and try again."))
            else:
                self._emit("log", request.id, level="debug", text=traceback.format_exc())
                self._fail(request.id, SetupError("bug", f"An unexpected error ({type(error).__name__}); see the log for details."))

    def _fail(self, request_id: Id, error: CcdnnError) -> None:
        kind = error.kind if isinstance(error, SetupError) else next(k for c, k in ERROR_KINDS.items() if isinstance(error, c))
        if isinstance(error, DeviceError):
            self._warm = None  # the state left on a failed device cannot be trusted
        self._emit("error", request_id, kind=kind, text=str(error), exit_code=error.exit_code)

    def _hello(self, request: Hello) -> dict[str, Any]:
        if request.version != MESSAGES_VERSION:
            raise SetupError(
                "version",
                f"The worker uses version {MESSAGES_VERSION} of the messages but its client uses version {request.version}; "
                "they come from different installations: reinstall the extension.",
            )
        self._announce_torch(request.id, "auto")
        from ccdnn.inference.device import choose_device
        from ccdnn.inference.libraries import library_of

        device = choose_device()
        return {
            "protocol": MESSAGES_VERSION,
            "engine": __version__,
            "python": platform.python_version(),
            "library": library_of(device.name),
            "device": device.name,
            "reason": device.reason,
        }

    def _synthesize(self, request: Synthesize, cancelled: Callable[[], bool]) -> dict[str, Any]:
        self._announce_torch(request.id, request.device)
        from ccdnn.synthesis import synthesize

        _stop_if(cancelled)
        synthesizer = self._synthesizer(request)
        _stop_if(cancelled)
        roles = [Role(role) for role in synthesizer.model.card.roles]
        arrays = {role: request.inputs[role] for role in roles if role in request.inputs}
        outputs = [request.output, *([request.uncertainty] if request.uncertainty else [])]
        require_no_input(outputs, [*filter(None, (array.path for array in arrays.values())), synthesizer.model.path])
        volumes = {role: read_volume(array) for role, array in arrays.items()}
        reference = request.reference if isinstance(request.reference, Role) else empty_volume(request.reference)

        with SlicesFile(request.output) as output:

            def on_progress(done: int, total: int) -> None:
                if done == 0:  # the inputs are checked, and the network starts
                    output.allocate(_grid(reference, volumes).shape)
                self._emit("progress", request.id, done=done, total=total)

            def on_slice(index: int, image: np.ndarray) -> None:
                output.write(index, image)
                self._emit("slice", request.id, index=index)

            result = synthesize(
                volumes,
                synthesizer,
                reference=reference,
                acquisitions={role: array.acquisition for role, array in arrays.items()},
                force=request.force,
                slices=None if request.slices is None else range(*request.slices),
                on_message=lambda kind, sentence: self._emit("log", request.id, level=kind, text=sentence),
                on_progress=on_progress,
                on_slice=on_slice,
                cancelled=cancelled,
            )
        grid = _grid(reference, volumes)
        return {
            "output": str(request.output),
            "shape": list(grid.shape),
            "ijk_to_ras": grid.ijk_to_ras.tolist(),
            "slices": list(request.slices or (0, grid.shape[0])),
            "name": result.volume.name,
            "header": dict(result.volume.metadata),
            "model": {
                "name": synthesizer.model.card.name,
                "version": synthesizer.model.card.version,
                "sha256": synthesizer.model.sha256,
            },
            "coverage": {role.value: float(share) for role, share in result.coverage.items()},
            "covered_by_all": float(result.covered.mean()),
            "device": result.device,
            "precision": result.precision,
            "reasons": list(result.reasons),
            "notes": list(result.notes),
            "warnings": list(result.warnings),
            "seconds": dict(result.seconds),
            "uncertainty": _write_uncertainty(result, request, grid),
            "familiarity": result.familiarity and result.familiarity.entries(),
        }

    def _announce_torch(self, request_id: Id, device: str) -> None:
        """Say that PyTorch is about to be loaded, which takes seconds, if it is."""
        importlib.invalidate_caches()  # packages may have been installed since this process started
        if device != "cpu" and "torch" not in sys.modules and find_spec("torch") is not None:
            self._emit("log", request_id, level="info", text="Loading PyTorch")

    def _synthesizer(self, request: Synthesize) -> Synthesizer:
        """The one of the last run if model, file, device and precision are the same."""
        from ccdnn.inference.synthesizer import Synthesizer

        key = (request.model, _stamp(request.model.path), request.device, request.precision)
        if self._warm is None or self._warm[0] != key:
            self._warm = None  # free its memory before the next one is loaded
            self._emit("log", request.id, level="info", text="Loading the model")
            self._warm = (key, Synthesizer(_load(request.model), request.device, request.precision))
        return self._warm[1]


def _write_uncertainty(result: SynthesisResult, request: Synthesize, grid: Grid) -> dict[str, Any] | None:
    """Write the map where the client wants it; returns what the client is told of it."""
    if request.uncertainty is None or result.uncertainty is None:
        return None
    first = 0 if request.slices is None else request.slices[0]
    with SlicesFile(request.uncertainty) as file:
        file.allocate(grid.shape)
        for index, image in enumerate(result.uncertainty.array):
            file.write(first + index, image)
    return {"output": str(request.uncertainty), "header": dict(result.uncertainty.metadata)}


def _grid(reference: Role | Volume, volumes: Mapping[Role, Volume]) -> Grid:
    return (volumes[reference] if isinstance(reference, Role) else reference).grid


def _stop_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("The synthesis was cancelled before it began.")


def _load(choice: ModelChoice) -> Model:
    from ccdnn.model.catalog import resolve_model
    from ccdnn.model.file import load_model

    return resolve_model(choice.id) if choice.path is None else load_model(choice.path, choice.sha256)


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """A value that changes when the file is replaced; None if there is no file."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return status and (status.st_mtime_ns, status.st_size)
