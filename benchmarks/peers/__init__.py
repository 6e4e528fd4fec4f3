"""What we are measured against: the same figures from the same facts, written to be fast in each engine."""
