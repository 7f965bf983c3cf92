"""A comparison as a folder that anyone can open: a page, its tables as CSV, its pictures and plots. Needs no Slicer, no browser."""
