"""Makes values conform to their value representation (DICOM PS3.5, section 6.2) before they are written.

Scanners and anonymisers write names, dates and UIDs that archives reject. A derived series must still refer to its patient and
study, so values are kept as far as possible, and every change is reported.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from pydicom.datadict import dictionary_description
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

# Characters in a value of each representation; "PN" is one component group.
LONGEST = {"SH": 16, "LO": 64, "PN": 64, "ST": 1024, "LT": 10240}
_UID = re.compile(r"(?:[01]\.[1-3]?\d|2\.(?:0|[1-9]\d*))(?:\.(?:0|[1-9]\d*))*")
_LONGEST_UID = 64
_CODE = re.compile(r"[A-Z0-9 _]{1,16}")
_AGE = re.compile(r"0*(\d{1,3})([DWMY])")
_TIME = re.compile(r"([01]\d|2[0-3])(?:([0-5]\d)(?:([0-5]\d|60)(?:\.\d{1,6})?)?)?")
_NUMBER = re.compile(r" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *")
_LONGEST_NUMBER = 16
# Codes for which the standard lists all allowed values.
_ENUMERATED = {
    "PatientSex": ("M", "F", "O"),
    "PatientIdentityRemoved": ("YES", "NO"),
    "Laterality": ("R", "L"),
    "LossyImageCompression": ("00", "01"),
}


def make_legal(dataset: Dataset) -> list[str]:
    """Make all values of a dataset legal, and return a sentence about each change. The sentences contain no values.

    >>> header = Dataset()
    >>> header.PatientAge = "45Y"
    >>> make_legal(header), header.PatientAge
    (["Patient's Age was not a legal value and was changed."], '045Y')
    """
    return list(dict.fromkeys(_changes(dataset)))


def put(dataset: Dataset, keyword: str, value: Any) -> list[str]:
    """Set an element's value. A value of the wrong type leaves the element empty, which the returned sentence reports."""
    try:
        setattr(dataset, keyword, value)
    except (ValueError, TypeError, OverflowError):
        setattr(dataset, keyword, None)
        return [_sentence(keyword, removed=True)]
    return []


def legal_uid(uid: str) -> str:
    """The UID itself if it is legal; otherwise a UID derived from it, always the same one (PS3.5, section B.2)."""
    if _UID.fullmatch(uid) and len(uid) <= _LONGEST_UID:
        return uid
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, uid).int}"


def _changes(dataset: Dataset) -> Iterator[str]:
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value:
                yield from _changes(item)
            continue
        legal = _legal(element)
        if legal is not element.value and legal != element.value:
            yield _sentence(element.tag, removed=legal in (None, "", []))
            dataset[element.tag].value = legal


def _sentence(element: str | BaseTag, removed: bool) -> str:
    return f"{dictionary_description(element)} was not a legal value and was {'removed' if removed else 'changed'}."


def _legal(element: DataElement) -> Any:
    rule = _RULES.get(element.VR)
    if rule is None or element.value is None or element.value == "":
        return element.value
    if element.VM <= 1:
        return rule(str(element.value), element.VR, element.keyword)
    values = [rule(str(value), element.VR, element.keyword) for value in element.value]
    return element.value if values == [str(value) for value in element.value] else [value for value in values if value]


def _text(value: str, kind: str, _keyword: str) -> str:
    kept = "\r\n\t\f" if kind in ("ST", "LT", "UT") else ""
    plain = "".join(letter if letter.isprintable() or letter in kept else " " for letter in value)
    if kind in ("SH", "LO"):
        plain = plain.replace("\\", "/")
    return plain.encode("utf-8", "replace").decode("utf-8").strip()[: LONGEST.get(kind)].strip()


def _name(value: str, kind: str, keyword: str) -> str:
    groups = [
        "^".join(_text(part, kind, keyword) for part in group.split("^")[:5])[: LONGEST[kind]].rstrip("^ ")
        for group in value.replace("\\", " ").split("=")[:3]
    ]
    return "=".join(groups).rstrip("=")


def _code(value: str, _kind: str, keyword: str) -> str:
    word = value.strip().upper()
    if not _CODE.fullmatch(word) or word not in _ENUMERATED.get(keyword, (word,)):
        return ""
    return word


def _date(value: str, _kind: str, _keyword: str) -> str:
    digits = re.sub(r"[.\-/ ]", "", value.strip())
    try:
        return digits if len(digits) == 8 and datetime.strptime(digits, "%Y%m%d") else ""
    except ValueError:
        return ""


def _time(value: str, _kind: str, _keyword: str) -> str:
    time = value.strip().replace(":", "")
    return time if _TIME.fullmatch(time) else ""


def _age(value: str, _kind: str, _keyword: str) -> str:
    found = _AGE.fullmatch(value.strip().upper())
    return f"{int(found[1]):03}{found[2]}" if found else ""


def _number(value: str, kind: str, _keyword: str) -> str | None:
    if not _NUMBER.fullmatch(value) or abs(float(value)) > 1e30:
        return None
    if kind == "IS":
        return str(int(float(value))) if -(2**31) <= float(value) < 2**31 else None
    return value.strip() if len(value.strip()) <= _LONGEST_NUMBER else f"{float(value):.9g}"


_RULES: dict[str, Callable[[str, str, str], Any]] = {
    **dict.fromkeys(("SH", "LO", "ST", "LT", "UT"), _text),
    "PN": _name,
    "CS": _code,
    "DA": _date,
    "TM": _time,
    "AS": _age,
    "DS": _number,
    "IS": _number,
    "UI": lambda value, _kind, _keyword: legal_uid(value),
}
