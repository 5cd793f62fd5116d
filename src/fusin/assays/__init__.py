"""The bench: counts to rates, curves to IC50 and Kd, uptake and biodistribution."""
