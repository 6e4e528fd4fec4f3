"""The verbs of the command line, one module per group: parse, call a job, print."""
