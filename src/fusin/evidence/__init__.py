"""Evidence: what the literature says, each number with its source."""
