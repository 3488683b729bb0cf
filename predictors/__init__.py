"""Predictors: features to mean and standard deviation, one file a predictor."""
