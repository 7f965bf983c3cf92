"""Slices for training: simulated or a cohort's own, checked, normalised and cached."""
