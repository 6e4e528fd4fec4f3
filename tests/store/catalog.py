"""A database's schema as a set of lines, to be compared with another's."""

import psycopg

COLUMNS = """
    SELECT concat_ws(' ', relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity::text,
        pg_get_expr(adbin, adrelid))
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
        AND attnum > 0 AND NOT attisdropped AND relname !~ %(but)s
"""
CONSTRAINTS = """
    SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text !~ %(but)s AND contype <> 'n'
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ %(but)s"
VIEWS = "SELECT viewname || definition FROM pg_views WHERE schemaname = 'public' AND viewname !~ %(but)s"
PARTITIONS = """
    SELECT concat_ws(' ', inhparent::regclass, relname, pg_get_expr(relpartbound, pg_class.oid))
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE relkind = 'r' AND relname !~ %(but)s
"""
TRIGGERS = """
    SELECT pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger
    WHERE NOT tgisinternal AND tgname !~ %(but)s
"""
FUNCTIONS = """
    SELECT pg_get_functiondef(oid) || coalesce(proacl::text, '') FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND proname !~ %(but)s
"""
DECLARED = (COLUMNS, CONSTRAINTS, INDEXES, VIEWS)
ALL = (*DECLARED, PARTITIONS, TRIGGERS, FUNCTIONS)
BOOKKEEPING = "^_yoyo"
MONTHS = r"|_\d{4}_\d{2}$"


def schema(url: str, queries: tuple[str, ...] = ALL, but: str = BOOKKEEPING) -> set[str]:
    """Everything that matters about a schema, less what matches ``but``; the order of columns does not."""
    with psycopg.connect(url) as connection:
        rows = [row for query in queries for row in connection.execute(query.encode(), {"but": but})]
    return {str(line) for (line,) in rows}
