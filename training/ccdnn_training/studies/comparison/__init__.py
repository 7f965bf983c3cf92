"""The paper's comparison (sections 2.7 to 2.10): every method on every fold of a cohort, measured and summarised in one report."""
