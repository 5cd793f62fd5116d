"""Statistics: thin over scipy, statsmodels and lifelines; our own only where they have nothing."""
