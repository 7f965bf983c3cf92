"""Many studies in one command: `ccdnn synthesize --each`."""
