"""fusin: CXCR4 theranostics from vial to dose. Research use only."""
