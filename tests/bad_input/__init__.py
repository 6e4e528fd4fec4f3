"""What comes in wrong, front by front: tables of inputs, each with what must come of it.

Never a traceback, never a figure that changed without a word, nothing half-written. ``python -m tests.bad_input``
prints how many inputs each front is tried with.
"""
