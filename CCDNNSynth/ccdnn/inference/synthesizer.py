"""Runs a model on a study, in batches of slices, with progress, cancellation and fallbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from ccdnn.errors import Cancelled, DeviceError, InputError, ModelError
from ccdnn.inference import libraries
from ccdnn.inference.backend import PRECISIONS, Backend, BackendFactory, is_out_of_memory
from ccdnn.inference.device import Device, choose_device, has_gpu_bf16, reduced_precisions
from ccdnn.inference.precision import LOWEST_AGREEMENT_DB, TIMED_SIDE, agrees, gain, probe_of
from ccdnn.inference.windows import Window, content_window, expand_template, template_shape
from ccdnn.model.file import Model
from ccdnn.normalisation import Normalisation

# Longest side of a tile. 16-bit maps of the paper's network then take about 100 MB each.
LONGEST_TILE = 512
SHORTEST_TILE = 64


@dataclass(frozen=True, eq=False)
class Prediction:
    """The network's output for a study.

    Args:
        image: (slice, row, column) float32.
        log_scale: the same shape: logarithm of the scale of the image's error (`ccdnn.model.uncertainty`); None if the model does
            not estimate it.
    """

    image: np.ndarray
    log_scale: np.ndarray | None = None


class Synthesizer:
    """A model ready to run, kept between studies so that the next one starts at once.

    Beyond rounding, the result does not depend on the batch size, the tiles or the skipping of empty background.

    Args:
        model: as `load_model` gives it.
        device: see `choose_device`.
        precision: "fp32", "fp16", "bf16" or "mixed" (see `PRECISIONS`), or "auto" for the fastest, which on a CPU is timed on a
            probe of the study. A precision that does not agree with float32 to 50 dB on the probe is not used; the run is in
            float32 if none remains.
        batch_size: slices at a time; None to choose by device.
        threads: CPU threads; None for the library's default.
        make_backend: (device, precision) → `Backend`; see `ccdnn.inference.libraries` for the default.

    Attributes:
        device, precision: those at the end of the last run ("cuda", "fp16").
        reasons: why they were chosen, for log and provenance.

    Raises:
        DeviceError: the requested device or precision is not available.
    """

    def __init__(
        self,
        model: Model,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
        make_backend: BackendFactory | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise InputError(f"The batch size must be at least 1, not {batch_size}.")
        if threads is not None and threads < 1:
            raise InputError(f"The number of threads must be at least 1, not {threads}.")
        self.model = model
        self._requested_device = choose_device(device)
        self._precisions, self._precision_reason = _checked_precisions(precision, self._requested_device)
        self._requested_batch = batch_size
        self._background = np.float32(Normalisation.from_card(model.card.normalisation).background)
        self._radius = model.architecture.receptive_radius
        self._has_uncertainty = model.architecture.uncertainty_maps > 0
        self._make_backend = lru_cache(maxsize=None)(make_backend or partial(libraries.make_backend, model, threads))
        self._time_precisions = precision == "auto" and self._requested_device.kind == "cpu"
        self._gains: dict[str, float] = {}  # precision → how many times as fast as fp32 it is here
        self.device = self._requested_device.name
        self.precision = "fp32"
        self.reasons: list[str] = [self._requested_device.reason]

    def predict(
        self,
        contrasts: np.ndarray,
        on_progress: Callable[[int, int], None] | None = None,
        on_slice: Callable[[int, np.ndarray], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        slices: range | None = None,
    ) -> Prediction:
        """Synthesise a study.

        Args:
            contrasts: (contrast, slice, row, column), normalised, contrasts in the card's order.
            on_progress: called after every batch with the number of finished slices and the total.
            on_slice: called with the index in the study and the (row, column) result of every slice, in order.
            cancelled: called before every batch; True stops the run.
            slices: the slices to compute; None for all. The precision is chosen on the whole study either way.

        Returns:
            The image of `slices`, and how certain it is, if the model knows.

        Raises:
            InputError: the wrong number of contrasts, or values that are not finite.
            Cancelled: `cancelled` returned True.
            DeviceError: the computation failed, or there is not enough memory even for one small tile on the CPU.
            ModelError: the network produces values that are not finite.
        """
        contrasts = self._checked(contrasts)
        self._start(contrasts)
        if slices is not None:
            contrasts = contrasts[:, slices.start : slices.stop]
        first = 0 if slices is None else slices.start
        _, total, rows, columns = contrasts.shape
        output = np.empty((1 + self._has_uncertainty, total, rows, columns), dtype=np.float32)
        done = 0
        while done < total:
            if cancelled is not None and cancelled():
                raise Cancelled(f"The synthesis was cancelled after {done} of {total} slices.")
            batch = slice(done, min(done + self._batch, total))
            try:
                result = self._synthesise(contrasts[:, batch])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise DeviceError(f"The computation on {self.device} failed: {str(error).splitlines()[0]}") from error
                result = None
            if result is None:  # outside the handler, whose traceback would keep the tensors alive
                self._use_less_memory()
                continue
            if not np.isfinite(result).all():
                self._leave_reduced_precision(first + done)
                continue
            output[:, batch] = result
            for index in range(batch.start, batch.stop):
                if on_slice is not None:
                    on_slice(first + index, output[0, index])
            done = batch.stop
            if on_progress is not None:
                on_progress(done, total)
        return Prediction(output[0], output[1] if self._has_uncertainty else None)

    def run(self, contrasts: np.ndarray) -> np.ndarray:
        """The image that `predict` gives: (contrast, slice, row, column) → (slice, row, column).

        Raises:
            InputError, DeviceError, ModelError: see `predict`.
        """
        return self.predict(contrasts).image

    def _checked(self, contrasts: np.ndarray) -> np.ndarray:
        contrasts = np.asarray(contrasts, dtype=np.float32)
        expected = self.model.architecture.contrasts
        if contrasts.ndim != 4 or contrasts.shape[0] != expected or 0 in contrasts.shape:
            raise InputError(
                f"The model {self.model.card.name} needs {expected} contrasts of slices, rows and columns, "
                f"not an array of shape {contrasts.shape}."
            )
        if not np.isfinite(contrasts).all():
            raise InputError("The input contains values that are not finite (NaN or Inf).")
        return contrasts

    def _start(self, contrasts: np.ndarray) -> None:
        """Reset to the requested settings, whatever the last study fell back to."""
        self.device, self.precision = self._requested_device.name, "fp32"
        self.reasons = [self._requested_device.reason]
        _, slices, rows, columns = contrasts.shape
        self._largest_tile = self._tile = min(LONGEST_TILE, max(rows, columns))
        self._template: np.ndarray | None = None
        self._choose_precision(contrasts)
        self.reasons.append(f"computed by {self._backend.library}")
        source = (min(side, self._tile + 2 * self._radius) for side in (rows, columns))
        self._batch = min(self._requested_batch or self._backend.batch_size(*source), slices)

    @property
    def _backend(self) -> Backend:
        return self._make_backend(self.device, self.precision)

    def _choose_precision(self, contrasts: np.ndarray) -> None:
        """Choose the first candidate that agrees with float32 on this study; float32 if none does."""
        if not self._precisions:
            self.reasons.append(f"fp32: {self._precision_reason}")
            return
        probe, refused = probe_of(contrasts), []
        for reduced in self._precisions:
            if (known := self._gains.get(reduced)) is not None and known <= 1:  # the check would delay the first slice
                refused.append(_slower(reduced, known))
                continue
            try:
                fits, agreement = agrees(self._backend, self._make_backend(self.device, reduced), probe)
            except (RuntimeError, MemoryError) as error:
                refused.append(f"{reduced} could not be tried ({str(error).splitlines()[0]})")
                continue
            if not fits:
                refused.append(
                    f"{reduced} agrees with fp32 to only {agreement:.1f} dB on this study, {LOWEST_AGREEMENT_DB:.0f} dB is required"
                )
                continue
            times = self._gain(reduced, contrasts)
            if times is not None and times <= 1:
                refused.append(_slower(reduced, times))
                continue
            self.precision = reduced
            faster = [] if times is None else [f"it is {times:.1f} times as fast as fp32 here"]
            why = "; ".join([self._precision_reason, *refused, *faster])
            self.reasons.append(f"{reduced}: {why}; it agrees with fp32 to {agreement:.1f} dB on this study")
            return
        self.reasons.append(f"fp32: {'; '.join(refused)}")

    def _gain(self, reduced: str, contrasts: np.ndarray) -> float | None:
        """How many times as fast as fp32 a precision is, measured once; None if that does not decide."""
        if not self._time_precisions:
            return None
        if reduced not in self._gains:
            self._gains[reduced] = gain(self._backend, self._make_backend(self.device, reduced), probe_of(contrasts, TIMED_SIDE))
        return self._gains[reduced]

    def _synthesise(self, contrasts: np.ndarray) -> np.ndarray:
        """Some slices, (contrast, slice, row, column) → (output, slice, row, column), computed only where there is content."""
        rows, columns = contrasts.shape[2:]
        content = (contrasts != self._background).any(axis=0)
        occupied = np.flatnonzero(content.any(axis=(1, 2)))
        window = content_window(content)
        reached = window and window.grown(self._radius, rows, columns)
        output = np.empty((1 + self._has_uncertainty, *contrasts.shape[1:]), dtype=np.float32)
        if occupied.size < contrasts.shape[1] or reached != Window(0, rows, 0, columns):
            output[:] = self._empty_slice(rows, columns)[:, None]
        if reached is None:
            return output
        for tile in reached.tiles(self._tile):
            source = tile.grown(self._radius, rows, columns)
            (rows_read, columns_read), (rows_kept, columns_kept) = source.slices, tile.within(source).slices
            result = self._backend(contrasts[:, occupied, rows_read, columns_read].swapaxes(0, 1))
            rows_written, columns_written = tile.slices
            output[:, occupied, rows_written, columns_written] = result[..., rows_kept, columns_kept].swapaxes(0, 1)
        return output

    def _empty_slice(self, rows: int, columns: int) -> np.ndarray:
        """The network's output for an empty slice, (output, row, column)."""
        if self._template is None:
            shape = (1, self.model.architecture.contrasts, *template_shape(rows, columns, self._radius))
            self._template = self._backend(np.full(shape, self._background, dtype=np.float32))[0]
        return expand_template(self._template, rows, columns)

    def _use_less_memory(self) -> None:
        """After memory ran out: halve the batch, then the tile, then move to the CPU."""
        self._backend.release_memory()
        if self._batch > 1:
            self._batch //= 2
            self.reasons.append(f"{self.device} ran out of memory: {self._batch} slices at a time")
        elif self._tile > SHORTEST_TILE:
            self._tile = max(self._tile // 2, SHORTEST_TILE)
            self.reasons.append(f"{self.device} ran out of memory: tiles of {self._tile} pixels")
        elif self.device != "cpu":
            self.reasons.append(f"{self.device} ran out of memory: the rest runs on the CPU in fp32")
            self.device, self.precision = "cpu", "fp32"
            self._tile, self._template = self._largest_tile, None
        else:
            raise DeviceError("There is not enough memory to run the model; close other programs and try again.")

    def _leave_reduced_precision(self, done: int) -> None:
        """Switch to float32 after values that are not finite. A 16-bit format can overflow; in float32 they are an error."""
        if self.precision == "fp32":
            raise ModelError(
                f"The model {self.model.card.name} produces values that are not finite in slice {done + 1} or shortly after; "
                "check the input intensities, or use another model."
            )
        self.reasons.append(f"fp32 from slice {done + 1}: {self.precision} overflowed")
        self.precision, self._template = "fp32", None


def _slower(precision: str, gain: float) -> str:
    return f"{precision} takes {1 / gain:.1f} times as long as fp32 here"


def _checked_precisions(requested: str, device: Device) -> tuple[tuple[str, ...], str]:
    """The precisions to try before fp32, and why."""
    reduced, reason = reduced_precisions(device)
    if requested == "auto":
        return reduced, reason
    if requested == "fp32":
        return (), "as requested"
    if requested not in PRECISIONS:
        raise DeviceError(f"The precision {requested!r} is unknown; use auto, {', '.join(PRECISIONS)}.")
    if requested in ("bf16", "mixed") and device.kind == "cuda" and has_gpu_bf16():
        return (requested,), "as requested"
    if requested not in reduced:
        raise DeviceError(f"The precision {requested} is not available on this {device.kind} ({reason}); use auto or fp32.")
    return (requested,), "as requested"
