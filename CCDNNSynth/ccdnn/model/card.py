"""The model card: what a model is, how it was trained and what was measured. It is stored in the model file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from ccdnn.errors import InputError, ModelError
from ccdnn.model.architecture import BLOCKS, UNDILATED
from ccdnn.normalisation import Normalisation

SCHEMA_VERSION = 1
ARCHITECTURES = ("ccdnn",)
INPUT_ROLES = ("t1", "t2", "gre")
TARGET_ROLE = "stir"

# The widest network allowed; the paper's is 64. The limit keeps a forged card from exhausting memory.
MAX_BRANCH_WIDTH = 256
# Pixels further apart than this are unrelated.
MAX_DILATION = 64

PROTOCOL_PARAMETERS = ("tr_ms", "te_ms", "ti_ms", "flip_angle_deg")


@dataclass(frozen=True)
class Protocol:
    """How a series was acquired: nominal parameters, and the ranges that training covered.

    Args:
        tr_ms, te_ms: repetition and echo time.
        ti_ms: inversion time, for inversion recovery.
        flip_angle_deg: for gradient echo.
        ranges: parameter name → (lowest, highest) seen in training; a parameter left out kept its nominal value.

    Raises:
        ModelError: a value is not a positive number, or a range does not contain its nominal value.
    """

    tr_ms: float
    te_ms: float
    ti_ms: float | None = None
    flip_angle_deg: float | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in PROTOCOL_PARAMETERS:
            value = getattr(self, name)
            if value is None and name in ("ti_ms", "flip_angle_deg"):
                continue
            if not _is_number(value) or value <= 0:
                raise ModelError(f"{name} of a protocol must be a positive number, not {value!r}.")
        if not isinstance(self.ranges, Mapping):
            raise ModelError(f"ranges of a protocol must be an object, not {self.ranges!r}.")
        ranges = {}
        for name, limits in self.ranges.items():
            nominal = getattr(self, name) if name in PROTOCOL_PARAMETERS else None
            if nominal is None:
                raise ModelError(f"a protocol has a range for {name!r} but no nominal value.")
            pair = isinstance(limits, (list, tuple)) and len(limits) == 2 and all(_is_number(limit) for limit in limits)
            if not pair or not limits[0] <= nominal <= limits[1]:
                raise ModelError(f"the range of {name} must be [lowest, highest] around {nominal}, not {limits!r}.")
            ranges[name] = (limits[0], limits[1])
        object.__setattr__(self, "ranges", ranges)


@dataclass(frozen=True)
class Contrast:
    """An input or output image of the network: its role (`t1`, `t2`, `gre`, `stir`) and its protocol."""

    role: str
    protocol: Protocol

    def __post_init__(self) -> None:
        _require_text(self, "role")


@dataclass(frozen=True)
class MeasuredResult:
    """A measured result: mean and standard deviation of `metric` over `n` items of `measured_on`, measured by `command`."""

    metric: str
    mean: float
    sd: float
    n: int
    measured_on: str
    command: str

    def __post_init__(self) -> None:
        _require_text(self, "metric", "measured_on", "command")
        if not (_is_number(self.mean) and _is_number(self.sd) and self.sd >= 0):
            raise ModelError(
                f"the result {self.metric!r} needs a finite mean and standard deviation, not {self.mean!r} ± {self.sd!r}."
            )
        if not _is_count(self.n):
            raise ModelError(f"the result {self.metric!r} needs its number of measurements, not {self.n!r}.")


@dataclass(frozen=True)
class ModelCard:
    """Everything about a model except its weights.

    Args:
        name, version: for example "small", "1.0.0".
        branch_width: feature maps of each contrast's branch (64 in the paper, section 2.5).
        contrasts: the network's input images, in order.
        target: the network's output image.
        normalisation: {"strategy": ..., "constants": {...}}, see `ccdnn.normalisation`.
        training_data: one paragraph about the training data.
        seed: of the training run.
        code_version: version or commit of the code that trained it.
        training: record of the schedule (losses, epochs, learning rate, wall time ...), in any form.
        results: measured on data that training did not use.
        licence: SPDX identifier of the weights' licence.
        created: date of the training, ISO 8601.
        architecture: the type of network; only `ccdnn` exists.
        fusion_dilations: of the two convolutions in each block of the fusion; all 1 in the paper.
        optional: roles of the contrasts that the model can run without, since training omitted them at random.

    Raises:
        ModelError: an entry is wrong; the message names it.
    """

    name: str
    version: str
    branch_width: int
    contrasts: tuple[Contrast, ...]
    target: Contrast
    normalisation: Mapping[str, Any]
    training_data: str
    seed: int
    code_version: str
    training: Mapping[str, Any]
    licence: str
    created: str
    results: tuple[MeasuredResult, ...] = ()
    architecture: str = "ccdnn"
    fusion_dilations: tuple[tuple[int, int], ...] = UNDILATED
    optional: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "contrasts", tuple(self.contrasts))
        object.__setattr__(self, "results", tuple(self.results))
        _require_text(self, "name", "version", "training_data", "code_version", "licence", "created")
        if self.architecture not in ARCHITECTURES:
            raise ModelError(
                f"the architecture {self.architecture!r} is unknown; this version supports {', '.join(ARCHITECTURES)}."
            )
        if not _is_count(self.branch_width) or self.branch_width > MAX_BRANCH_WIDTH:
            raise ModelError(f"branch_width must be a whole number from 1 to {MAX_BRANCH_WIDTH}, not {self.branch_width!r}.")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise ModelError(f"seed must be a whole number, not {self.seed!r}.")
        roles = self.roles
        if not roles or len(set(roles)) != len(roles) or not set(roles) <= set(INPUT_ROLES):
            raise ModelError(
                f"contrasts must be distinct roles from {', '.join(INPUT_ROLES)}, not {', '.join(map(str, roles)) or 'none'}."
            )
        object.__setattr__(self, "fusion_dilations", _dilations(self.fusion_dilations))
        object.__setattr__(self, "optional", _optional(self.optional, roles))
        if self.target.role != TARGET_ROLE:
            raise ModelError(f"the target must be {TARGET_ROLE!r}, not {self.target.role!r}.")
        if not isinstance(self.training, Mapping):
            raise ModelError(f"training must be an object, not {self.training!r}.")
        try:
            Normalisation.from_card(self.normalisation)
        except InputError as error:
            raise ModelError(str(error)) from error

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the input images, in the network's order."""
        return tuple(contrast.role for contrast in self.contrasts)

    @property
    def required(self) -> tuple[str, ...]:
        """Roles of the input images that the model requires."""
        return tuple(role for role in self.roles if role not in self.optional)

    def to_json(self) -> str:
        """The card as JSON text. Equal cards give equal text.

        Raises:
            ModelError: `training` or `normalisation` contains a value that JSON does not support.
        """
        try:
            return json.dumps({"schema": SCHEMA_VERSION, **asdict(self)}, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ModelError(f"the card of {self.name} cannot be written as JSON: {error}.") from error

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card that `to_json` wrote.

        Raises:
            ModelError: not JSON, another schema, or an entry is missing, unknown or wrong (the message names it).
        """
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"the card is not JSON: {error}.") from error
        if not isinstance(entries, dict):
            raise ModelError("the card is not a JSON object.")
        schema = entries.pop("schema", None)
        if schema != SCHEMA_VERSION:
            raise ModelError(f"the card has schema {schema!r}; this version reads schema {SCHEMA_VERSION}.")
        if isinstance(entries.get("contrasts"), list):
            entries["contrasts"] = [_contrast(entry, f"contrasts[{i}]") for i, entry in enumerate(entries["contrasts"])]
        elif "contrasts" in entries:
            raise ModelError("contrasts of the card must be a list.")
        if "target" in entries:
            entries["target"] = _contrast(entries["target"], "target")
        results = entries.get("results", [])
        if not isinstance(results, list):
            raise ModelError("results of the card must be a list.")
        entries["results"] = [_build(MeasuredResult, entry, f"results[{i}]") for i, entry in enumerate(results)]
        return _build(cls, entries, "the card")


def _dilations(value: Any) -> tuple[tuple[int, int], ...]:
    """Check `fusion_dilations`, and convert the lists of JSON to tuples."""
    pairs = value if isinstance(value, (list, tuple)) else ()
    if len(pairs) != BLOCKS or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and all(_is_count(d) and d <= MAX_DILATION for d in pair)
        for pair in pairs
    ):
        raise ModelError(
            f"fusion_dilations must be {BLOCKS} pairs of whole numbers from 1 to {MAX_DILATION}, such as [[1, 1], [2, 2], [5, 5]], "
            f"not {value!r}."
        )
    return tuple((first, second) for first, second in pairs)


def _optional(value: Any, roles: tuple[str, ...]) -> tuple[str, ...]:
    """Check `optional`: some of the model's roles, but not all of them."""
    if (
        not isinstance(value, (list, tuple))
        or not all(role in roles for role in value)
        or not len(set(value)) == len(value) < len(roles)
    ):
        raise ModelError(f"optional must name some, but not all, of the model's contrasts ({', '.join(roles)}), not {value!r}.")
    return tuple(value)


def _contrast(entry: Any, where: str) -> Contrast:
    if isinstance(entry, dict) and "protocol" in entry:
        entry = {**entry, "protocol": _build(Protocol, entry["protocol"], f"{where}.protocol")}
    return _build(Contrast, entry, where)


def _build(kind: type, entry: Any, where: str) -> Any:
    """`kind(**entry)`, with an error that names missing or unknown entries."""
    if not isinstance(entry, dict):
        raise ModelError(f"{where} must be an object, not {entry!r}.")
    known = {f.name for f in fields(kind)}
    if unknown := sorted(set(entry) - known):
        raise ModelError(f"{where} has the unknown entry {unknown[0]!r}.")
    required = (f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)
    if missing := [name for name in required if name not in entry]:
        raise ModelError(f"{where} lacks {', '.join(map(repr, missing))}.")
    return kind(**entry)


def _require_text(owner: Any, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, str) or not value.strip():
            raise ModelError(f"{name} must be a non-empty string, not {value!r}.")


def _is_number(value: Any) -> bool:
    # Compare, since integers in JSON can be too large for a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -sys.float_info.max < value < sys.float_info.max


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
