"""CC-DNN engine: three MR volumes in, a synthetic STIR volume out. No Slicer, no Qt, no training code in here."""

__version__ = "0.1.0"
