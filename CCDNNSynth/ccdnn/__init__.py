"""CC-DNN engine: three MR volumes in, a synthetic STIR volume out. Contains no Slicer, Qt or training code."""

__version__ = "0.1.0"
