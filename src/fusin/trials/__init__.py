"""Trials: eligibility rules as data, and the registry."""
