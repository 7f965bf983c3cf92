"""The architecture: imports only point down, and the quick commands stay quick because nothing heavy is imported for them.

Slicer module → CCDNNSynthLib ─┐
                               ├→ ccdnn:  cli → everything else → errors
          ccdnn_training ──────┘

Training has two floors: what makes a model, and above it `ccdnn_training.studies`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
ENGINE_ROOT = ROOT / "CCDNNSynth"
TRAINING_ROOT = ROOT / "training"

SLICER = {"slicer", "qt", "ctk", "vtk", "vtkmodules", "MRMLCorePython", "SegmentStatistics", "CCDNNSynth", "CCDNNSynthLib"}


@dataclass(frozen=True)
class Import:
    module: str
    lazy: bool  # inside a function, so it runs only when that is called


def modules_under(root: Path, package: str) -> dict[str, Path]:
    """Dotted name → file, for every module of a package; empty where the package does not exist."""
    return {".".join(path.relative_to(root).with_suffix("").parts): path for path in (root / package).rglob("*.py")}


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of a file. `from a import b` gives a and a.b, since b may be a module."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path} uses a relative import; name modules in full"
                yield Import(child.module, lazy)
                yield from (Import(f"{child.module}.{alias.name}", lazy) for alias in child.names)
            elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
                continue  # for type checkers alone, never run
            else:
                yield from walk(child, lazy or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), lazy=False)


ENGINE = modules_under(ENGINE_ROOT, "ccdnn")
SLICER_SIDE = modules_under(ENGINE_ROOT, "CCDNNSynthLib")
TRAINING = modules_under(TRAINING_ROOT, "ccdnn_training")

# PyTorch is optional: these modules are imported only where it is needed and installed.
WITH_TORCH = (
    "ccdnn.inference.device",
    "ccdnn.inference.folded",
    "ccdnn.inference.torch_backend",
    "ccdnn.model.network",
    "ccdnn.model.saving",
    "ccdnn.worker.service",
)

# Folders of CCDNNSynthLib: what all share, then the panel from top to bottom.
SECTIONS = ("", "Scene", "Views", "Inputs", "Synthesis", "Review", "Measure", "Report", "Readers")


def section_of(module: str) -> str:
    """The folder of CCDNNSynthLib that a module is in, or is; "" for what lies beside the folders."""
    folder = module.split(".")[1]
    return folder if (ENGINE_ROOT / "CCDNNSynthLib" / folder).is_dir() else ""


def top_level(path: Path) -> set[str]:
    return {found.module.split(".")[0] for found in imports_of(path)}


def loaded_by(module: str) -> set[str]:
    """All that importing an engine module loads, whatever it imports inside functions left out."""
    pending, seen = [module], set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        path = ENGINE.get(name) or ENGINE.get(f"{name}.__init__")
        if path is not None:
            parents = name.split(".")
            pending += [".".join(parents[:n]) for n in range(1, len(parents))]
            pending += [found.module for found in imports_of(path) if not found.lazy]
    return {name for name in seen}


@pytest.mark.parametrize("module", sorted(ENGINE))
def test_engine_knows_no_slicer_and_no_training(module):
    assert not top_level(ENGINE[module]) & (SLICER | {"ccdnn_training"})


@pytest.mark.parametrize("module", sorted(ENGINE))
def test_engine_depends_only_on_what_it_declares(module):
    declared = {"ccdnn", "numpy", "SimpleITK", "skimage", "safetensors", "pydicom", "gdcm"}
    declared |= {"rich", "shtab"} if module.startswith("ccdnn.cli") else set()
    declared |= {"matplotlib"} if module == "ccdnn.pictures" else set()
    declared |= {"PIL"} if module == "ccdnn.report.png" else set()
    declared |= {"nibabel"} if module in ("ccdnn.conversion", "ccdnn.formats.nifti") else set()
    declared |= {"highdicom"} if module == "ccdnn.dicom.parametric_map" else set()
    declared |= {"torch"} if module in WITH_TORCH else set()
    declared |= {"onnxruntime"} if module == "ccdnn.inference.onnx_backend" else set()
    declared |= {"google"} if module == "ccdnn.inference.onnx_graph" else set()
    declared |= {"dask", "distributed"} if module == "ccdnn.cohort.run" else set()
    declared |= {"isal"} if module == "ccdnn.formats.payload" else set()
    declared |= {"ccdnn_resources"}  # the bundled data of the wheel, no code
    assert top_level(ENGINE[module]) - set(sys.stdlib_module_names) <= declared


@pytest.mark.parametrize("module", sorted(name for name in ENGINE if not name.startswith(("ccdnn.cli", "ccdnn.__main__"))))
def test_only_the_command_line_imports_the_command_line(module):
    assert not [found.module for found in imports_of(ENGINE[module]) if found.module.startswith("ccdnn.cli")]


@pytest.mark.parametrize("modules", [ENGINE, SLICER_SIDE, TRAINING], ids=["engine", "Slicer side", "training"])
def test_importing_never_goes_in_a_circle(modules):
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"circle of imports: {' → '.join((*trail, module))}"
        if module in modules and module not in done:
            for found in imports_of(modules[module]):
                if not found.lazy:
                    visit(found.module, (*trail, module))
            done.add(module)

    for module in modules:
        visit(module, ())


@pytest.mark.parametrize("module", sorted(SLICER_SIDE))
def test_slicer_side_knows_the_engine_and_not_the_training(module):
    assert "ccdnn_training" not in top_level(SLICER_SIDE[module])
    assert not [found.module for found in imports_of(SLICER_SIDE[module]) if found.module.startswith("ccdnn.cli")]


@pytest.mark.parametrize("module", sorted(SLICER_SIDE))
def test_a_section_of_the_panel_knows_only_what_lies_before_it(module):
    place = SECTIONS.index(section_of(module))
    imported = [found.module for found in imports_of(SLICER_SIDE[module]) if found.module.startswith("CCDNNSynthLib.")]
    assert not [name for name in imported if SECTIONS.index(section_of(name)) > place]


@pytest.mark.parametrize("module", sorted(TRAINING))
def test_training_knows_the_engine_and_not_slicer(module):
    assert not top_level(TRAINING[module]) & SLICER
    assert not [found.module for found in imports_of(TRAINING[module]) if found.module.startswith("ccdnn.cli")]


@pytest.mark.parametrize("module", sorted(name for name in TRAINING if not name.startswith("ccdnn_training.studies")))
def test_what_makes_a_model_does_not_import_the_studies(module):
    studies = {found.module for found in imports_of(TRAINING[module]) if found.module.startswith("ccdnn_training.studies")}
    # The one command lists the studies' commands beside its own.
    assert not studies or (
        module == "ccdnn_training.cli.main" and studies <= {"ccdnn_training.studies", "ccdnn_training.studies.cli"}
    )


@pytest.mark.parametrize("module", sorted(name for name in TRAINING if name.startswith("ccdnn_training.studies.")))
def test_a_study_does_not_import_another_study(module):
    if module == "ccdnn_training.studies.cli":
        pytest.skip("lists the studies' commands")
    study = ".".join(module.split(".")[:3])
    others = {found.module for found in imports_of(TRAINING[module]) if found.module.startswith("ccdnn_training.studies.")}
    assert not {name for name in others if ".".join(name.split(".")[:3]) != study}


def test_matplotlib_is_loaded_only_when_a_picture_is_drawn():
    for module in ENGINE:
        assert not {name for name in loaded_by(module) if name.split(".")[0] == "matplotlib"}, module


@pytest.mark.parametrize(
    "module", ["ccdnn.cli", "ccdnn.dicom", "ccdnn.inference.synthesizer", "ccdnn.model.catalog", "ccdnn.synthesis", "ccdnn.worker"]
)
def test_nothing_but_a_gpu_needs_torch(module):
    names = [name for name in ENGINE if name == module or name.startswith(module + ".")]
    assert names, f"{module} is gone; name its successor here"
    for name in names:
        assert "torch" not in {loaded.split(".")[0] for loaded in loaded_by(name)}, name


def test_inspect_runs_without_torch(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((3, 8, 8), np.float32)), tmp_path / "t1.nrrd")
    code = (
        "import sys; from ccdnn.cli.main import main; status = main(['inspect', sys.argv[1]]); "
        "sys.exit(status or ('torch was imported' if 'torch' in sys.modules else 0))"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
