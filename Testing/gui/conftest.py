"""The module's panel in the test host. If the host cannot start, its tests are skipped, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

try:
    from testing_host import slicer_host

    slicer_host.install()
    MISSING = ""
except ImportError as error:
    MISSING = (
        f"skipped, because the test host cannot start ({error}); it needs `pip install .[host]`, and on Debian or Ubuntu "
        "`apt-get install libegl1 libgl1 libglib2.0-0 libxkbcommon0 libfontconfig1 libdbus-1-3 libx11-6`"
    )

collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_terminal_summary(terminalreporter) -> None:
    if MISSING:
        terminalreporter.write_line(f"SKIPPED the tests of the panel: {MISSING}")


if not MISSING:
    import panel_scene
    import slicer
    import small_study
    from testing_host import qt_stand_in

    # The tests use widgets in the style of Slicer's Python.
    for path in Path(__file__).parent.glob("*.py"):
        qt_stand_in.use_python_qt_style(path.stem)

    @pytest.fixture(scope="session", autouse=True)
    def python_slicer(tmp_path_factory):
        slicer_host.provide_python_slicer(tmp_path_factory.mktemp("bin"))

    @pytest.fixture(scope="session")
    def model_path(tmp_path_factory) -> Path:
        """A model with random weights."""
        return small_study.write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")

    @pytest.fixture
    def panel():
        """The module's widget with an empty scene; both are cleaned up afterwards."""
        yield slicer_host.start()
        current = slicer.modules.CCDNNSynthWidget  # a new one after a reload
        current.cleanup()
        panel_scene.close_panel(current)

    @pytest.fixture
    def ready(panel, model_path):
        """The panel with the small leg's volumes in the scene, chosen by Detect, and the random model."""
        panel_scene.add_leg()
        panel_scene.choose_model(panel, model_path)
        slicer_host.click(panel.inputs.ui.detectButton)
        return panel
