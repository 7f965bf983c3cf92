"""Makes the guide's pictures of the whole window, in a real Slicer: the panel beside the views, with a result of the sample study.

    Slicer --no-splash --additional-module-path CCDNNSynth --python-script docs/tools/slicer_pictures.py FOLDER RESULT

RESULT is `demo/stir_synthetic.nrrd` of `make demo`; an `uncertainty.nrrd` beside it is shown over the result.
"""

import sys
import traceback
from pathlib import Path

import qt
import slicer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "CCDNNSynth"))

WIDTH, HEIGHT, PANEL_WIDTH = 1600, 1000, 470  # pixels
SLICE = 17  # through the edema of the sample study
QUALITY = 82


def settle(seconds: float = 0.5) -> None:
    """Let the application draw."""
    for _ in range(int(seconds / 0.05)):
        slicer.app.processEvents()
        qt.QThread.msleep(50)
    slicer.util.forceRenderAllViews()
    slicer.app.processEvents()


def take(folder: Path, name: str) -> None:
    settle()
    picture = slicer.util.mainWindow().grab()
    picture.save(str(folder / f"{name}.jpg"), "JPG", QUALITY)


def add(path: Path, reference, inputs):
    """The volume of a file as a run would have filed it."""
    from ccdnn.files import read_volume
    from CCDNNSynthLib.Scene.Result import addVolume, fileResult, resultName

    volume = read_volume(path)
    node = addVolume(reference, resultName(volume.metadata))
    slicer.util.updateVolumeFromArray(node, volume.array)
    fileResult(node, volume.metadata, inputs)
    return node


def main(folder: Path, result: Path) -> None:
    from ccdnn.files import read_volume
    from CCDNNSynthLib.Parameters import volumesOf
    from CCDNNSynthLib.Scene.Result import showLike
    from CCDNNSynthLib.Scene.UncertaintyVolume import fileUncertainty
    from CCDNNSynthLib.Views.SliceViews import showSlice

    folder.mkdir(parents=True, exist_ok=True)
    window = slicer.util.mainWindow()
    window.resize(WIDTH, HEIGHT)
    slicer.util.setPythonConsoleVisible(False)
    slicer.util.selectModule("CCDNNSynth")
    panel = slicer.modules.ccdnnsynth.widgetRepresentation().self()
    window.resizeDocks([slicer.util.findChild(window, "PanelDockWidget")], [PANEL_WIDTH], qt.Qt.Horizontal)
    panel.inputs.onSampleLink()
    panel.inputs.ui.detectButton.click()
    settle(1)
    take(folder, "window-inputs")
    parameters = panel.logic.getParameterNode()
    node = add(result, parameters.t1Volume, volumesOf(parameters))
    showLike(node, parameters.stirVolume)
    uncertainty = result.with_name("uncertainty.nrrd")
    if uncertainty.exists():
        half_widths = read_volume(uncertainty)
        fileUncertainty(node, half_widths.array, half_widths.metadata)
    parameters.syntheticVolume = node
    settle(1)
    ui = panel.review.ui
    for button, name in ((ui.sideBySideButton, "window-pair"), (ui.gridButton, "window-all")):
        button.click()
        settle(1)
        showSlice(parameters.stirVolume, SLICE)
        take(folder, name)
    if uncertainty.exists():
        ui.sideBySideButton.click()
        settle(1)
        parameters.uncertaintyShown = True
        showSlice(parameters.stirVolume, SLICE)
        take(folder, "window-uncertainty")
    ui.leaveButton.click()


def guarded() -> None:
    code = 1
    try:
        main(Path(sys.argv[-2]), Path(sys.argv[-1]))
        code = 0
    except Exception:
        traceback.print_exc()
    slicer.util.exit(code)


qt.QTimer.singleShot(3000, guarded)
