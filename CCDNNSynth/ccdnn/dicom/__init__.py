"""Reading DICOM: headers into frames, frames into series, series into voxels.

`headers` reads one file, classic or Enhanced, into `Frame`s. `grouping` splits a series that contains several volumes. `stack`
places the slices of each volume on a grid, or reports why it cannot. `pixels` decodes the voxels when a series is loaded.
"""
