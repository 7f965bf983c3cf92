"""Makes the pictures of docs/guide.md: each section of the panel with the sample study, the review, the plots, the report.

python docs/tools/guide_pictures.py docs/pictures [--result FILE]

--result takes the output of `make demo`, demo/stir_synthetic.nrrd, instead of running the bundled model, which needs an idle
machine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Testing"))

from PySide6 import QtGui, QtWidgets
from testing_host import qt_stand_in, slicer_host

WIDTH = 420
# Through the tibia and out of it in slice 13, in voxels of the STIR (column, row, slice); and slice 13.
LINE, SLICE = ((170.0, 300.0, 12.0), (330.0, 300.0, 12.0)), 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--result", type=Path, help="an existing synthetic volume to use instead of a run")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        slicer_host.provide_python_slicer(Path(folder))
        slicer_host.install()
        QtWidgets.QApplication.setStyle("Fusion")
        panel = slicer_host.start(WIDTH)
        synthesize(panel, options)
        review(panel, options)
        measure(panel, options)
        report(panel, options, Path(folder))
        panel.cleanup()  # ends the worker


def synthesize(panel, options) -> None:
    panel.inputs.onSampleLink()
    slicer_host.process_events()
    slicer_host.click(panel.inputs.ui.detectButton)
    take(panel.inputs.ui.inputsSection, options.folder / "inputs.png")
    if options.result is None:
        slicer_host.click(panel.synthesis.ui.applyButton)
        slicer_host.wait_until(lambda: not panel.logic.running, 1800)
    else:
        load_result(panel.logic.getParameterNode(), options.result)
    take(panel.synthesis.ui.synthesisSection, options.folder / "synthesis.png")


def load_result(parameters, path: Path) -> None:
    """Load the volume of a file as if a run had computed it."""
    import slicer

    from ccdnn.files import read_volume
    from CCDNNSynthLib.Parameters import volumesOf
    from CCDNNSynthLib.Scene.Result import addVolume, fileResult, resultName, showLike

    volume = read_volume(path)
    node = addVolume(parameters.t1Volume, resultName(volume.metadata))
    slicer.util.updateVolumeFromArray(node, volume.array)
    fileResult(node, volume.metadata, volumesOf(parameters))
    showLike(node, parameters.stirVolume)
    parameters.syntheticVolume = node


def review(panel, options) -> None:
    import slicer
    from testing_host import layout

    from CCDNNSynthLib.Views.SliceViews import showSlice

    if not layout.can_render():
        print("The review is skipped: this machine cannot render (see Testing/gui/test_review.py).")
        return
    ui, parameters = panel.review.ui, panel.logic.getParameterNode()
    for button, name in ((ui.sideBySideButton, "review-pair"), (ui.singleButton, "review-swipe")):
        slicer_host.click(button)
        for _ in range(3):
            slicer_host.process_events()
        showSlice(parameters.stirVolume, SLICE)
        for _ in range(3):
            slicer_host.process_events()
        picture = slicer.app.layoutManager().grab()
        rows, columns, _ = picture.shape
        image = QtGui.QImage(picture.tobytes(), columns, rows, 3 * columns, QtGui.QImage.Format.Format_RGB888)
        image.save(str(options.folder / f"{name}.jpg"), quality=88)
    take(ui.reviewSection, options.folder / "review.png")
    slicer_host.click(ui.leaveButton)


def measure(panel, options) -> None:
    """Measure CNR with the sample's labels as segments, a profile, and the similarity of the whole volume."""
    import vtk
    from testing_host import tissue_regions

    parameters = panel.logic.getParameterNode()
    parameters.regionSegmentation = tissue_regions.add_segmentation()
    slicer_host.wait_until(lambda: parameters.cnrTable is not None and parameters.cnrTable.GetNumberOfRows() > 0, 120)
    take(panel.cnr.ui.cnrSection, options.folder / "cnr.png")
    panel.lineProfiles.draw("vtkMRMLMarkupsLineNode", "Profile line")
    for end in LINE:
        parameters.profileLine.AddControlPointWorld(vtk.vtkVector3d(*tissue_regions.world(parameters.stirVolume, *end)))
    parameters.profileInputs = True
    slicer_host.wait_until(lambda: parameters.profileTable is not None and parameters.profileTable.GetNumberOfRows() > 0, 60)
    take(panel.lineProfiles.ui.profilesSection, options.folder / "profiles.png")
    slicer_host.click(visible(panel.similarity.ui.similaritySection, panel.similarity.ui.computeButton))
    slicer_host.wait_until(lambda: parameters.similarityTable is not None and parameters.similarityChart is not None, 600)
    take(panel.similarity.ui.similaritySection, options.folder / "similarity.png")


def report(panel, options, temporary: Path) -> None:
    """Picture the section, and copy the plots of the report."""
    qt_stand_in.dialog_answers["directory"] = str(temporary)
    slicer_host.click(visible(panel.report.ui.reportSection, panel.report.ui.reportButton))
    written = temporary / "STIR-report"
    # The section shows the folder, which is specific to this machine.
    panel.report.ui.reportLabel.setText(panel.report.ui.reportLabel.text().replace(str(temporary), "/home/reader"))
    take(panel.report.ui.reportSection, options.folder / "report.png")
    parameters = panel.logic.getParameterNode()
    from ccdnn.report.page import file_stem

    for name, chart in (
        ("cnr", parameters.cnrChart),
        ("profiles", parameters.profileChart),
        ("similarity", parameters.similarityChart),
    ):
        (plot,) = written.glob(f"plot-??-{file_stem(chart.GetTitle())}.svg")
        shutil.copyfile(plot, options.folder / f"{name}-plot.svg")


def visible(section, button):
    section.collapsed = False
    slicer_host.process_events()
    return button


def take(section, path: Path) -> None:
    """Picture one section, as high as its texts require."""
    section.collapsed = False
    parent = section.window()
    parent.resize(WIDTH, 6000)
    for _ in range(3):
        slicer_host.process_events()
    height = section.layout().totalHeightForWidth(section.width()) if section.layout().hasHeightForWidth() else 0
    section.resize(section.width(), max(height, section.sizeHint().height()))
    slicer_host.process_events()
    section.grab().save(str(path))


if __name__ == "__main__":
    main()
