"""Many studies in one command: `ccdnn synthesize --each` and `ccdnn measure --each`."""
