"""What a scanner does to the ideal signal, one effect a file; each can be switched off."""
