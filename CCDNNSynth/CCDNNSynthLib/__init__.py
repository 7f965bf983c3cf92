"""The Slicer side of CCDNNSynth: scene, panels and worker client. The engine, `ccdnn`, does not depend on Slicer."""
