"""Evaluation of models on subjects unseen in training, compared with simpler predictors."""
