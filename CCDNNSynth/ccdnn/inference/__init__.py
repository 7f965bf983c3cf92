"""Runs a model on a volume: see `synthesizer.Synthesizer`."""
