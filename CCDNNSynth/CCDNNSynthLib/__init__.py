"""The Slicer side of CCDNNSynth: scene, panels and the client of the worker. The engine below it, `ccdnn`, knows no Slicer."""
