"""The HTTP API under load: what it is filled with, the processes that serve, the load, the targets."""
