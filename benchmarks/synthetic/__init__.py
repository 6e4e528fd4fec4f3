"""A synthetic lender of any size: the same seed always gives the same rows."""
