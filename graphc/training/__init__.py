"""Fitting compiled models to data: `graphc.fit` and what it is made of."""
