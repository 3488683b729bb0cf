"""Predictors: features to mean and standard deviation, one file a predictor.

May import no other wing: predictors see arrays alone, as any regressor of scikit-learn.
Files with an underscore are what several of them share, and no other wing's; torch is
imported where it is used.
"""
