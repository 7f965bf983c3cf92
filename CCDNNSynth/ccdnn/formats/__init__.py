"""MetaImage, NRRD and NIfTI, read in Python: what a header promises is checked against what the file holds before it is used."""
