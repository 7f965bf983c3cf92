"""Running a model over a volume."""
