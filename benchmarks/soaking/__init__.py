"""A soak: everything at work at once for as long as it lasts, what goes wrong on purpose, and what came of it."""
