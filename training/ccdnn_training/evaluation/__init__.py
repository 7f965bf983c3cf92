"""How well a model does on subjects that no training saw, beside simpler predictors."""
