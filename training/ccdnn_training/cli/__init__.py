"""The `ccdnn-train` command."""
