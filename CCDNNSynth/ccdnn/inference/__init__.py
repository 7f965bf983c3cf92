"""Running a model over a volume: `synthesizer.Synthesizer`."""
