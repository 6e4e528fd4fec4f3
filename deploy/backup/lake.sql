-- Which folder of facts belongs to this database.
SELECT current_database() || '-' || left(encode(sha256(convert_to(system_identifier::text || oid, 'UTF8')), 'hex'), 8)
FROM pg_control_system(), pg_database WHERE datname = current_database()
