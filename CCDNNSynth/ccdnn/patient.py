"""Identifies the patient of a series without naming them: only for detecting that two series are of different patients."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Protocol

from ccdnn.errors import InputError

# Digests of one process cannot be compared with those of another, or looked up in a list of names.
_KEY = secrets.token_bytes(16)
_LABELS = {"identifier": "patient IDs", "name": "patient names", "birth_date": "birth dates", "subject": "subjects"}
_SUBJECT = re.compile(r"sub-([A-Za-z0-9]+)")


@dataclass(frozen=True)
class Patient:
    """Digests of what a header states about its patient; "" for what it does not state.

    Args:
        identifier: of the patient ID.
        name: of the name, ignoring case and separators.
        birth_date: of the birth date.
        subject: of the subject in a BIDS file name ("sub-01").
    """

    identifier: str = ""
    name: str = ""
    birth_date: str = ""
    subject: str = ""

    @classmethod
    def stated(cls, identifier: str = "", name: str = "", birth_date: str = "", file_name: str = "") -> Patient:
        """The patient stated by a header or the name of a BIDS file.

        >>> Patient.stated(name="Doe^Jane").differs_from(Patient.stated(name="DOE^JANE^^"))
        >>> Patient.stated(identifier="1").differs_from(Patient.stated(identifier="2"))
        'patient IDs'
        """
        subject = _SUBJECT.match(file_name)
        return cls(
            _digest(identifier.strip()),
            _digest(" ".join(re.findall(r"\w+", name.partition("=")[0].upper()))),
            _digest("".join(re.findall(r"\d+", birth_date))),
            _digest(subject[1] if subject else ""),
        )

    @classmethod
    def of_entries(cls, entries: object) -> Patient:
        """The patient with digests from another part of the same program.

        Raises:
            ValueError: they are not such digests.
        """
        if not isinstance(entries, dict) or not set(entries) <= set(_LABELS):
            raise ValueError("not the entries of a patient")
        if not all(isinstance(value, str) and re.fullmatch("[0-9a-f]{0,32}", value) for value in entries.values()):
            raise ValueError("not the digests of a patient")
        return cls(**entries)

    def entries(self) -> dict[str, str]:
        """The stated digests, for another part of the same program."""
        return {key: value for key, value in asdict(self).items() if value}

    def differs_from(self, other: Patient) -> str | None:
        """How two patients differ, in words; None if nothing stated by both differs."""
        for key, label in _LABELS.items():
            mine, theirs = getattr(self, key), getattr(other, key)
            if mine and theirs and mine != theirs:
                return label
        return None


class HasPatient(Protocol):
    """A volume or a series."""

    @property
    def name(self) -> str: ...

    @property
    def patient(self) -> Patient: ...


def difference_of_patients(volumes: Iterable[HasPatient]) -> str | None:
    """A clause that says why volumes are of different patients; None if they are not known to be."""
    for first, second in combinations(volumes, 2):
        if (what := first.patient.differs_from(second.patient)) is not None:
            return f"{first.name} and {second.name} are of different patients (their {what} differ)"
    return None


class DifferentPatients(InputError):
    """Volumes of different patients, which a user may force."""


def require_one_patient(volumes: Iterable[HasPatient]) -> None:
    """Refuse volumes of different patients.

    Raises:
        DifferentPatients: the message names two of them and what differs, but not its values.
    """
    if (difference := difference_of_patients(volumes)) is not None:
        raise DifferentPatients(f"{difference}; choose series of one patient, or force the run if they are the same person.")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), key=_KEY, digest_size=16).hexdigest() if text else ""
