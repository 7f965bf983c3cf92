"""The section "Report": volumes, pictures and measurements on one page."""
