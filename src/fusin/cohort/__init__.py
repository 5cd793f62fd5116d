"""The cohort: tracer against tracer, accuracy, aldosteronism, outcome, consistency."""
