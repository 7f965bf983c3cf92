"""The `ccdnn` command."""
