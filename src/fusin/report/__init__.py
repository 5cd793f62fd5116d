"""Report: figures and pages from results; computes nothing."""
