"""A comparison written as a folder: an HTML page, its tables as CSV, its pictures and plots. Needs neither Slicer nor a browser."""
