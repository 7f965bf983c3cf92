"""The report of `ccdnn measure`: its volumes, the command that reproduces it, and its pictures."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence

from ccdnn import __version__
from ccdnn.errors import InputError
from ccdnn.measure.comparison import Images
from ccdnn.measure.profile import Image
from ccdnn.measure.scaling import scale_pair
from ccdnn.pictures import stir_top
from ccdnn.report.content import Report, Section
from ccdnn.report.study import Shown, difference_picture, pictures, provenance_entries, trust_section, volumes_table
from ccdnn.series import Series
from ccdnn.volume import Volume

_READING_ORDER = (Image.T1, Image.T2, Image.GRE, Image.ACQUIRED, Image.SYNTHETIC)
_TITLE = "Acquired and synthetic STIR"

_FILES = ("acquired", "synthetic", "t1", "t2", "gre", "uncertainty", "labels", "names")
_REPEATED = (*_FILES, "pairs", "form", "line", "scaling", "mask", "threshold", "slice")


def measured_report(
    options: argparse.Namespace,
    series: Mapping[Image, Series],
    images: Images,
    sections: Sequence[Section],
    index: int,
) -> Report:
    """The report on the measurements.

    Args:
        index: slice to draw, on the STIRs' common grid.
    """
    items = [
        Shown(image.value, volume, series[image].acquisition, _window(image, volume), image is Image.SYNTHETIC)
        for image in _READING_ORDER
        if (volume := images.own.get(image)) is not None
    ]
    drawn = pictures(items, images.grid, index)
    provenance = {"Measured by": f"ccdnn {__version__}", "Command": _command(options)}
    if images.remark:
        provenance["Grids"] = images.remark
    if Image.SYNTHETIC in images.own:
        provenance = {**provenance_entries(images.own[Image.SYNTHETIC].metadata, options.with_names), **provenance}
    if images.are_a_pair:
        acquired, synthetic = images.shared[Image.ACQUIRED], images.shared[Image.SYNTHETIC]
        pair = scale_pair(synthetic.array, acquired.array, options.scaling, names=(Image.SYNTHETIC.value, Image.ACQUIRED.value))
        difference = pair[0].array - pair[1].array
        if images.known is not None:
            difference[~images.known] = 0
        drawn += (difference_picture(difference, images.grid, options.scaling, index),)
    if Image.SYNTHETIC in images.own:
        uncertainty = images.uncertainty[0] if images.uncertainty else None
        trust = trust_section(images.own[Image.SYNTHETIC], uncertainty, images.grid, index)
        sections = [trust, *sections] if trust else sections
    table = volumes_table(items, options.with_names)
    return Report(_TITLE, table, provenance, drawn, tuple(sections))


def _window(image: Image, volume: Volume) -> tuple[float, float] | None:
    """Both STIRs by their tissue, so that they are displayed alike; inputs by their own range."""
    try:
        return (0.0, stir_top(volume.array)) if image in (Image.ACQUIRED, Image.SYNTHETIC) else None
    except InputError:  # no tissue, for example in a difference map
        return None


def _command(options: argparse.Namespace) -> str:
    """The command that reproduces these numbers. File names may contain a patient's name, so they appear only on request."""
    words = ["ccdnn", "measure"]
    for name, value in vars(options).items():
        if value is None or name not in _REPEATED:
            continue
        hidden = name in _FILES and not options.with_names
        text = name.upper() if hidden else " ".join(value) if isinstance(value, list) else getattr(value, "value", str(value))
        words += [f"--{name}", text] if text else []
    return shlex.join(words)
