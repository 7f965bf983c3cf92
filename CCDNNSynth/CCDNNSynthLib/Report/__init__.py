"""The section "Report": volumes, pictures and what was measured, as one page."""
