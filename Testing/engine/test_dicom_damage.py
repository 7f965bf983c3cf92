"""One damaged byte in a header: whatever it hits, the folder is read or refused in a sentence, and the other files stay usable."""

from __future__ import annotations

from pathlib import Path

import dicom_factory as factory
import numpy as np
import pytest

from ccdnn.dicom.sources import read_source
from ccdnn.errors import InputError
from ccdnn.study import read_study

TRIES = 200


def classic(folder: Path) -> Path:
    return factory.write(factory.series(2), folder)[0]


def enhanced(folder: Path) -> Path:
    frames = [{"position": np.array([-20.0 + 3 * n, 10.0, 30.0]), "in_stack": n + 1} for n in range(3)]
    return factory.write([factory.enhanced(frames)], folder)[0]


@pytest.mark.filterwarnings("ignore")  # pydicom's, of the values that are no longer what they should be
@pytest.mark.parametrize("make", [classic, enhanced])
def test_no_damaged_byte_of_a_header_stops_the_reading(tmp_path: Path, make) -> None:
    path = make(tmp_path)
    content = path.read_bytes()
    header = content.index(b"\xe0\x7f\x10\x00")  # pixel data begin
    rng = np.random.default_rng(0)
    for position in rng.choice(np.arange(132, header), TRIES):
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        for read in (lambda: read_study(tmp_path), lambda: read_source([path])):
            try:
                read()
            except InputError as error:
                assert str(error)
