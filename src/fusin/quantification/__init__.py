"""Quantification: references, lesions, metrics, positivity."""
