"""Slices to train on: simulated or a cohort's own, checked, normalised and cached."""
