"""The model card: what a model is, how it was trained and what was measured. It is stored in the model file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any

from ccdnn.acquisition import PARAMETERS, TE, TR, Acquisition
from ccdnn.errors import InputError, ModelError
from ccdnn.model.architecture import BLOCKS, UNDILATED
from ccdnn.model.familiarity import Familiarity
from ccdnn.model.uncertainty import Uncertainty
from ccdnn.normalisation import Normalisation
from ccdnn.series import INPUT_ROLES, Role

SCHEMA_VERSION = 1
ARCHITECTURES = ("ccdnn",)
TARGET_ROLE = Role.STIR.value

# The widest network allowed; the paper's is 64. The limit keeps a forged card from exhausting memory.
MAX_BRANCH_WIDTH = 256
# Pixels further apart than this are unrelated.
MAX_DILATION = 64

# What a card states of an acquisition; the others only where the sequence has them.
NEEDED_PARAMETERS = (TR, TE)


@dataclass(frozen=True)
class Contrast:
    """An input or output image of the network.

    Args:
        role: `t1`, `t2`, `gre` or `stir`.
        acquisition: the nominal parameters: TR and TE, and TI and flip angle where the sequence has them. Nothing else.
        ranges: name of a parameter → (lowest, highest) seen in training; a parameter left out kept its nominal value.

    Raises:
        ModelError: a value is not a positive number, or a range does not contain its nominal value.

    >>> Contrast("t1", Acquisition(522, 11), {"tr_ms": (400, 700)}).summary
    'TR 522 (400–700) ms, TE 11 ms'
    """

    role: str
    acquisition: Acquisition
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_text(self, "role")
        nominal: dict[str, Any] = {parameter.name: parameter.of(self.acquisition) for parameter in PARAMETERS}
        for parameter in PARAMETERS:
            value = nominal[parameter.name]
            if value is None and parameter not in NEEDED_PARAMETERS:
                continue
            if not _is_number(value) or value <= 0:
                raise ModelError(f"{parameter.name} of a protocol must be a positive number, not {value!r}.")
        if self.acquisition != Acquisition(**nominal):
            raise ModelError(f"a protocol has only {', '.join(nominal)}; {self.acquisition} states more.")
        if not isinstance(self.ranges, Mapping):
            raise ModelError(f"ranges of a protocol must be an object, not {self.ranges!r}.")
        ranges = {}
        for name, limits in self.ranges.items():
            within = nominal.get(name)
            if within is None:
                raise ModelError(f"a protocol has a range for {name!r} but no nominal value.")
            pair = isinstance(limits, (list, tuple)) and len(limits) == 2 and all(_is_number(limit) for limit in limits)
            if not pair or not limits[0] <= within <= limits[1]:
                raise ModelError(f"the range of {name} must be [lowest, highest] around {within}, not {limits!r}.")
            ranges[name] = (limits[0], limits[1])
        object.__setattr__(self, "ranges", ranges)

    @property
    def summary(self) -> str:
        """The nominal parameters, with their ranges, in one line."""
        parts = []
        for parameter in PARAMETERS:
            if (value := parameter.of(self.acquisition)) is None:
                continue
            value, low, high = (round(number, 1) for number in (value, *self.ranges.get(parameter.name, (value, value))))
            parts.append(parameter.labelled(f"{value:g}" if low == high else f"{value:g} ({low:g}–{high:g})"))
        return ", ".join(parts)

    def entries(self) -> dict[str, Any]:
        """As in the card's JSON, where the parameters and their ranges are one object."""
        nominal = {parameter.name: parameter.of(self.acquisition) for parameter in PARAMETERS}
        return {"role": self.role, "protocol": {**nominal, "ranges": dict(self.ranges)}}

    @classmethod
    def of_entries(cls, entries: Any, where: str) -> Contrast:
        """From the card's JSON.

        Args:
            where: the entry's place in the card, for messages.

        Raises:
            ModelError: an entry is missing, unknown or wrong.
        """
        _require_entries(entries, ("role", "protocol"), (), where)
        needed, all_names = ([parameter.name for parameter in some] for some in (NEEDED_PARAMETERS, PARAMETERS))
        protocol = entries["protocol"]
        _require_entries(protocol, needed, (*all_names, "ranges"), f"{where}.protocol")
        nominal = {name: value for name, value in protocol.items() if name != "ranges"}
        return cls(entries["role"], Acquisition(**nominal), protocol.get("ranges", {}))


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
                f"the result {self.metric!r} needs a finite mean and standard deviation, not {self.mean!r} and {self.sd!r}."
            )
        if not _is_count(self.n):
            raise ModelError(f"the result {self.metric!r} needs its number of measurements, not {self.n!r}.")

    @property
    def value(self) -> str:
        """Mean ± standard deviation.

        >>> MeasuredResult("PSNR", 28.338, 1.112, 12, "knees", "ccdnn-train evaluate").value
        '28.34 ± 1.1'
        """
        return f"{self.mean:.4g} ± {self.sd:.2g}"


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
        uncertainty: of the network's second head; None if it has none.
        familiarity: which intensities training saw; None if that was not recorded.

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
    uncertainty: Uncertainty | None = None
    familiarity: Familiarity | None = None

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
        roles, known = self.roles, [role.value for role in INPUT_ROLES]
        if not roles or len(set(roles)) != len(roles) or not set(roles) <= set(known):
            raise ModelError(
                f"contrasts must be distinct roles from {', '.join(known)}, not {', '.join(map(str, roles)) or 'none'}."
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

    def entries(self) -> dict[str, Any]:
        """The card as JSON can hold it."""
        plain = asdict(replace(self, uncertainty=None, familiarity=None))
        del plain["uncertainty"], plain["familiarity"]
        contrasts = [contrast.entries() for contrast in self.contrasts]
        entries = {**plain, "contrasts": contrasts, "target": self.target.entries()}
        if self.uncertainty is not None:
            entries["uncertainty"] = asdict(self.uncertainty)
        if self.familiarity is not None:
            entries["familiarity"] = self.familiarity.entries()
        return entries

    def to_json(self) -> str:
        """The card as JSON text. Equal cards give equal text.

        Raises:
            ModelError: `training` or `normalisation` contains a value that JSON does not support.
        """
        try:
            return json.dumps({"schema": SCHEMA_VERSION, **self.entries()}, ensure_ascii=False, allow_nan=False)
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
            entries["contrasts"] = [Contrast.of_entries(entry, f"contrasts[{i}]") for i, entry in enumerate(entries["contrasts"])]
        elif "contrasts" in entries:
            raise ModelError("contrasts of the card must be a list.")
        if "target" in entries:
            entries["target"] = Contrast.of_entries(entries["target"], "target")
        results = entries.get("results", [])
        if not isinstance(results, list):
            raise ModelError("results of the card must be a list.")
        entries["results"] = [_build(MeasuredResult, entry, f"results[{i}]") for i, entry in enumerate(results)]
        if "uncertainty" in entries:
            entries["uncertainty"] = Uncertainty.of_entries(entries["uncertainty"])
        if "familiarity" in entries:
            roles = [contrast.role for contrast in entries.get("contrasts", [])]
            entries["familiarity"] = Familiarity.of_entries(entries["familiarity"], roles)
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


def _build(kind: type, entry: Any, where: str) -> Any:
    """`kind(**entry)`, with an error that names missing or unknown entries."""
    required = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    _require_entries(entry, required, [f.name for f in fields(kind)], where)
    return kind(**entry)


def _require_entries(entry: Any, required: Sequence[str], optional: Sequence[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise ModelError(f"{where} must be an object, not {entry!r}.")
    if unknown := sorted(set(entry) - {*required, *optional}):
        raise ModelError(f"{where} has the unknown entry {unknown[0]!r}.")
    if missing := [name for name in required if name not in entry]:
        raise ModelError(f"{where} lacks {', '.join(map(repr, missing))}.")


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
