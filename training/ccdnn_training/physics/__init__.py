"""MR signal equations, tissue values, protocols and noise."""
