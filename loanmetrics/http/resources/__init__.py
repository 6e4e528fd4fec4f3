"""Handlers by subject: they read what was asked and call jobs."""
