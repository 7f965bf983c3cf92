"""The cases of a small reader study, and helpers that read its section."""

from __future__ import annotations

from dataclasses import replace

import panel_scene
import small_study
from testing_host import slicer_host

from ccdnn.files import write_volume
from ccdnn.readers.study import Candidate
from ccdnn.series import Role

METHODS = ("CC-DNN", "Replica", "U-Net")


def write_cases(tmp_path) -> list[Candidate]:
    """Two knees of three methods, whose images differ in brightness and in one voxel."""
    found = []
    for name in ("Smith", "Jones"):
        folder = tmp_path / "source" / name
        folder.mkdir(parents=True)
        volumes = small_study.volumes()
        context = {role: folder / f"{role.value}.nii" for role in volumes}
        for role, path in context.items():
            write_volume(volumes[role], path)
        images = {method: folder / f"{method}.nii" for method in METHODS}
        for number, path in enumerate(images.values()):
            array = volumes[Role.STIR].array * (number + 2)
            array[0, 0, number] = array.max()
            write_volume(replace(volumes[Role.STIR], array=array), path)
        found.append(Candidate(name, context, images))
    return found


def message(label) -> str:
    return panel_scene.plain(label)


def visible(panel, button):
    panel.readerStudy.ui.readerSection.collapsed = False
    slicer_host.process_events()
    return button
