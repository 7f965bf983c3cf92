"""DICOM, as the standard has it: headers to frames, frames to series, series to voxels.

`headers` reads one file, classic or Enhanced, into `Frame`s; `grouping` splits the frames of a series where they are not one
volume; `stack` places what is left on a grid or says why that cannot be; `pixels` decodes them when a series is loaded.
"""
