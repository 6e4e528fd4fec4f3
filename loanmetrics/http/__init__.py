"""The HTTP API: one table of routes, each a thin front end over the same jobs as the command line."""
