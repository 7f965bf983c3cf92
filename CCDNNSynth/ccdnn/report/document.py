"""Measurements as one JSON document: what `ccdnn measure --json` prints, and what `ccdnn measure --each` keeps of each study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ccdnn.measure.comparison import Images, Measurements
from ccdnn.report.page import file_stem


def measured_document(images: Images, measured: Measurements, warnings: Sequence[str]) -> dict[str, Any]:
    """The volumes and the tables; an unmeasured or infinite number is null.

    Args:
        warnings: what may be wrong, a sentence each.

    Returns:
        "tables" has the rows of each table by `file_stem` of its title, such as "cnr-between-tissues".
    """
    return {
        "notice": "Research use only, not for diagnosis.",
        "remark": images.remark,
        "volumes": {
            image.value: {
                "columns": volume.grid.shape[2],
                "rows": volume.grid.shape[1],
                "slices": volume.grid.shape[0],
                "spacing_mm": volume.grid.spacing,
            }
            for image, volume in images.own.items()
        },
        "tables": {
            file_stem(title): {"title": title, "rows": json.loads(table.to_json()), "notes": table.notes}
            for title, table in measured.tables.items()
        },
        "warnings": list(warnings),
    }


def as_text(document: dict[str, Any]) -> str:
    """The document as JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False)
