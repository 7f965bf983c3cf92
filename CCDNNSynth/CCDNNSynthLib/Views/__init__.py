"""Display: custom layouts and slice views, their labels, plots, and the result while it is computed."""
