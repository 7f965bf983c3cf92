"""What a scanner does to the ideal signal, one effect per file; each can be switched off."""
