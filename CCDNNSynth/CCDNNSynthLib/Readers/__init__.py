"""The section "Reader study": blinded scoring, and the coordinator's part."""
