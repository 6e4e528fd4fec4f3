"""What lives in PostgreSQL: schema, runs, published figures, the audit chain and the embedded server."""
