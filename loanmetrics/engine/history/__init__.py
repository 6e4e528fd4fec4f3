"""Every day of a stretch in one pass over the timeline, instead of one pass per day."""
