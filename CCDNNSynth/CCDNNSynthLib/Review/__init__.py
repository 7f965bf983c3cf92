"""The section "Review": acquired and synthetic STIR side by side, or in one view."""
