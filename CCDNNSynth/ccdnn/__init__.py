"""CC-DNN engine: MR volumes of a knee in, a synthetic STIR volume out. Contains no Slicer, Qt or training code.

    import ccdnn

    result = ccdnn.synthesize_study("study")
    result.save("stir.nrrd")

The names below are defined in `ccdnn.api`, which is imported when the first of them is used: `import ccdnn` itself takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccdnn.api import (
        CcdnnError,
        DeviceError,
        InputError,
        Measurements,
        ModelError,
        OutputError,
        Role,
        Series,
        Study,
        SynthesisResult,
        Synthesizer,
        Table,
        Volume,
        inspect,
        load_model,
        measure,
        synthesize,
        synthesize_study,
    )

__version__ = "0.1.0"

__all__ = [
    "CcdnnError",
    "DeviceError",
    "InputError",
    "Measurements",
    "ModelError",
    "OutputError",
    "Role",
    "Series",
    "Study",
    "SynthesisResult",
    "Synthesizer",
    "Table",
    "Volume",
    "inspect",
    "load_model",
    "measure",
    "synthesize",
    "synthesize_study",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "measure":  # also a package, which can be called
        return import_module("ccdnn.measure")
    return getattr(import_module("ccdnn.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
