"""The sections "Contrast (CNR)", "Line profiles" and "Image similarity"."""
