"""Reads MetaImage, NRRD and NIfTI in Python, and checks that each file contains what its header states."""
