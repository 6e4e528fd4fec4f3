-- depends: 0002.partitions 0003.audit_append_only

-- Which loans, or whole tables (loan_id null), each transaction touched. Triggers write it within the
-- transaction, so that a row is seen exactly when the change it tells of is.
CREATE TABLE change_log (
    change_id bigint GENERATED ALWAYS AS IDENTITY,
    source_table text NOT NULL,
    loan_id text,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (xid, change_id)
);

CREATE TABLE change_readers (
    reader text NOT NULL,
    token text NOT NULL,
    since xid8 NOT NULL,
    mark jsonb NOT NULL,
    advanced_at timestamptz NOT NULL,
    PRIMARY KEY (reader)
);

CREATE TABLE change_horizon (
    xid xid8 NOT NULL,
    PRIMARY KEY (xid)
);

INSERT INTO change_horizon (xid) VALUES ('0');

-- What is watched, and whether its changes are told loan by loan or as a whole.
CREATE FUNCTION loanmetrics_change_units()
RETURNS TABLE (source text, unit text)
LANGUAGE sql
IMMUTABLE
AS $body$
    VALUES
        ('loans', 'loan'), ('loan_schedule', 'loan'), ('repayments', 'loan'),
        ('officers', 'table'), ('holidays', 'table'), ('gl_balances', 'table'), ('par15_snapshots', 'table'),
        ('change_log', 'log')
$body$;

-- The triggers a relation must have; kind is pg_trigger.tgtype of an AFTER ... FOR EACH STATEMENT trigger.
CREATE FUNCTION loanmetrics_change_triggers()
RETURNS TABLE (unit text, kind integer, happening text, sees text, calls text)
LANGUAGE sql
IMMUTABLE
AS $body$
    VALUES
        ('loan', 4, 'INSERT', 'NEW TABLE AS came', 'loanmetrics_log_loans'),
        ('loan', 8, 'DELETE', 'OLD TABLE AS gone', 'loanmetrics_log_loans'),
        ('loan', 16, 'UPDATE', 'OLD TABLE AS gone NEW TABLE AS came', 'loanmetrics_log_loans'),
        ('loan', 32, 'TRUNCATE', '', 'loanmetrics_log_table'),
        ('table', 4, 'INSERT', 'NEW TABLE AS came', 'loanmetrics_log_table'),
        ('table', 8, 'DELETE', 'OLD TABLE AS gone', 'loanmetrics_log_table'),
        ('table', 16, 'UPDATE', 'OLD TABLE AS gone', 'loanmetrics_log_table'),
        ('table', 32, 'TRUNCATE', '', 'loanmetrics_log_table'),
        ('log', 8, 'DELETE', 'OLD TABLE AS gone', 'loanmetrics_raise_horizon')
$body$;

-- Trigger functions run as their owner: every writer can log, whatever its rights.
-- A loan_id that is null speaks for the whole table; so do more loans than are worth fetching one by one.
CREATE FUNCTION loanmetrics_log_loans()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $body$
DECLARE
    most CONSTANT integer := 50000;
BEGIN
    CASE TG_OP
    WHEN 'INSERT' THEN
        WITH touched AS MATERIALIZED (SELECT DISTINCT loan_id FROM came LIMIT most + 1),
            counted AS MATERIALIZED (SELECT count(*) > most AS too_many FROM touched)
        INSERT INTO change_log (source_table, loan_id)
        SELECT TG_ARGV[0], loan_id FROM touched, counted WHERE NOT too_many
        UNION ALL SELECT TG_ARGV[0], NULL FROM counted WHERE too_many;
    WHEN 'DELETE' THEN
        WITH touched AS MATERIALIZED (SELECT DISTINCT loan_id FROM gone LIMIT most + 1),
            counted AS MATERIALIZED (SELECT count(*) > most AS too_many FROM touched)
        INSERT INTO change_log (source_table, loan_id)
        SELECT TG_ARGV[0], loan_id FROM touched, counted WHERE NOT too_many
        UNION ALL SELECT TG_ARGV[0], NULL FROM counted WHERE too_many;
    WHEN 'UPDATE' THEN
        WITH touched AS MATERIALIZED (
                SELECT loan_id FROM gone UNION SELECT loan_id FROM came LIMIT most + 1
            ),
            counted AS MATERIALIZED (SELECT count(*) > most AS too_many FROM touched)
        INSERT INTO change_log (source_table, loan_id)
        SELECT TG_ARGV[0], loan_id FROM touched, counted WHERE NOT too_many
        UNION ALL SELECT TG_ARGV[0], NULL FROM counted WHERE too_many;
    END CASE;
    RETURN NULL;
END
$body$;

CREATE FUNCTION loanmetrics_log_table()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $body$
BEGIN
    CASE TG_OP
    WHEN 'INSERT' THEN
        INSERT INTO change_log (source_table) SELECT TG_ARGV[0] FROM came LIMIT 1;
    WHEN 'TRUNCATE' THEN
        INSERT INTO change_log (source_table) VALUES (TG_ARGV[0]);
    ELSE
        INSERT INTO change_log (source_table) SELECT TG_ARGV[0] FROM gone LIMIT 1;
    END CASE;
    RETURN NULL;
END
$body$;

-- Whoever deletes from the log: marks at or below what was deleted lose their trust.
CREATE FUNCTION loanmetrics_raise_horizon()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $body$
BEGIN
    UPDATE change_horizon SET xid = highest.xid
    FROM (SELECT gone.xid FROM gone ORDER BY gone.xid DESC LIMIT 1) AS highest
    WHERE change_horizon.xid < highest.xid;
    RETURN NULL;
END
$body$;

-- Every watched table and partition: what is wrong with it, if anything, and a text that differs once its
-- triggers, columns or storage were changed, and be it back and forth.
CREATE FUNCTION loanmetrics_watched()
RETURNS TABLE (source text, relation oid, schema_name text, name text, trouble text, shape text)
LANGUAGE sql
STABLE
AS $body$
    WITH RECURSIVE home AS (SELECT relnamespace FROM pg_class WHERE oid = 'change_log'::regclass),
    tree (source, unit, relation) AS (
        SELECT u.source, u.unit, c.oid
        FROM loanmetrics_change_units() u CROSS JOIN home
        LEFT JOIN pg_class c ON (c.relname, c.relnamespace) = (u.source, home.relnamespace)
        UNION ALL
        SELECT tree.source, tree.unit, i.inhrelid
        FROM tree JOIN pg_inherits i ON i.inhparent = tree.relation WHERE NOT i.inhdetachpending
    ),
    found AS (
        SELECT tree.relation, tree.source, t.oid, t.xmin, p.xmin AS function_xmin, w.kind
        FROM tree
        JOIN loanmetrics_change_triggers() w ON w.unit = tree.unit
        JOIN pg_trigger t ON t.tgrelid = tree.relation AND t.tgtype = w.kind
        JOIN pg_proc p ON p.oid = t.tgfoid AND p.proname = w.calls
        JOIN home ON home.relnamespace = p.pronamespace
        WHERE t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgattr::text = ''
            AND encode(t.tgargs, 'escape') = tree.source || '\000'
            AND concat_ws(' ', 'OLD TABLE AS ' || t.tgoldtable, 'NEW TABLE AS ' || t.tgnewtable) = w.sees
    ),
    triggers AS (
        SELECT found.relation, found.source, count(DISTINCT found.kind) AS kinds,
            string_agg(concat_ws(' ', found.oid, found.xmin, found.function_xmin), ',' ORDER BY found.oid) AS text
        FROM found GROUP BY found.relation, found.source
    ),
    columns AS (
        SELECT a.attrelid AS relation,
            string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod), ',' ORDER BY a.attnum) AS text
        FROM pg_attribute a JOIN tree ON a.attrelid = tree.relation
        WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY a.attrelid
    )
    SELECT tree.source, tree.relation, n.nspname, coalesce(c.relname, tree.source),
        CASE
            WHEN tree.relation IS NULL THEN 'is missing'
            WHEN c.relpersistence <> 'p' THEN 'is unlogged: a crash would empty it unnoticed'
            WHEN EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = tree.relation)
                THEN 'is fed by logical replication, which fires no statement triggers'
            WHEN triggers.kinds IS DISTINCT FROM (
                SELECT count(*) FROM loanmetrics_change_triggers() w WHERE w.unit = tree.unit
            ) THEN 'lacks its triggers'
        END,
        md5(concat_ws('|', c.relfilenode, triggers.text, columns.text))
    FROM tree
    LEFT JOIN pg_class c ON c.oid = tree.relation
    LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN triggers USING (relation, source)
    LEFT JOIN columns USING (relation)
$body$;

-- Gives a table or partition its triggers, or sets them right. A parent's do not fire for statements sent
-- to a partition, so each has its own. They fire in every replication role.
CREATE FUNCTION loanmetrics_watch(watched regclass, told_as text)
RETURNS void
LANGUAGE plpgsql
AS $body$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT t.*, 'loanmetrics_log_' || lower(t.happening) AS name
        FROM loanmetrics_change_units() u JOIN loanmetrics_change_triggers() t USING (unit)
        WHERE u.source = told_as
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION %I(%L)',
            wanted.name, wanted.happening, watched, 'REFERENCING ' || nullif(wanted.sees, ''), wanted.calls,
            told_as);
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', watched, wanted.name);
    END LOOP;
END
$body$;

-- Sets right what lacks its triggers, and says what that was. What went unseen meanwhile is read again. What
-- cannot be had, being busy or another's, is left: readers find it and trust nothing.
CREATE FUNCTION loanmetrics_watch_changes()
RETURNS text[]
LANGUAGE plpgsql
SECURITY DEFINER
SET lock_timeout = '2s'
AS $body$
DECLARE
    blind record;
    mended text[] := '{}';
BEGIN
    FOR blind IN SELECT * FROM loanmetrics_watched() WHERE trouble = 'lacks its triggers' LOOP
        BEGIN
            PERFORM loanmetrics_watch(blind.relation, blind.source);
            INSERT INTO change_log (source_table) SELECT blind.source WHERE blind.source <> 'change_log';
            mended := mended || blind.name;
        EXCEPTION WHEN lock_not_available OR insufficient_privilege OR wrong_object_type THEN
            NULL;
        END;
    END LOOP;
    RETURN mended;
END
$body$;

-- Names are looked up where the tables are, never among a caller's temporary ones.
DO $body$
DECLARE
    ours text;
BEGIN
    FOREACH ours IN ARRAY ARRAY[
        'log_loans', 'log_table', 'raise_horizon', 'watched', 'watch', 'watch_changes'
    ] LOOP
        EXECUTE format(
            'ALTER FUNCTION loanmetrics_%s SET search_path = pg_catalog, %I, pg_temp', ours, current_schema());
    END LOOP;
END
$body$;

REVOKE EXECUTE ON FUNCTION loanmetrics_log_loans() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION loanmetrics_log_table() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION loanmetrics_raise_horizon() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION loanmetrics_watch(regclass, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION loanmetrics_watch_changes() FROM PUBLIC;

CREATE TRIGGER change_log_append_only
BEFORE UPDATE OR TRUNCATE ON change_log
FOR EACH STATEMENT EXECUTE FUNCTION loanmetrics_refuse_change();

ALTER TABLE change_log ENABLE ALWAYS TRIGGER change_log_append_only;

-- As before, and new partitions are watched before anyone can write to them.
CREATE OR REPLACE FUNCTION loanmetrics_ensure_partitions(parent regclass, days date[] DEFAULT '{}')
RETURNS text[]
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $body$
DECLARE
    spare regclass;
    home text;
    stem text;
    part_key name;
    wanted date[];
    waiting date[];
    missing date[];
    made text[] := '{}';
    starts date;
    leaf text;
    in_month text;
BEGIN
    SELECT p.partdefid::regclass, quote_ident(n.nspname), c.relname, a.attname
    INTO spare, home, stem, part_key
    FROM pg_partitioned_table p
    JOIN pg_class c ON c.oid = p.partrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
    WHERE c.oid = parent AND p.partdefid <> 0 AND pg_get_userbyid(c.relowner) = current_user;
    IF spare IS NULL THEN
        RAISE EXCEPTION 'not a table partitioned by loanmetrics: %', parent;
    END IF;

    -- One caller at a time per table.
    PERFORM pg_advisory_xact_lock(hashtext('loanmetrics partitions'), parent::oid::integer);

    SELECT array_agg(DISTINCT date_trunc('month', day)::date) INTO wanted
    FROM (
        SELECT unnest(days) AS day
        UNION ALL SELECT current_date + make_interval(months => ahead) FROM generate_series(0, 3) AS ahead
    ) AS given
    WHERE day BETWEEN date '1900-01-01' AND date '2199-12-31';

    -- Without need nothing is locked. An insert that had already chosen the default partition would fail
    -- once its month is split off, so inserts have to wait at the parent, where they choose.
    FOR turn IN 1..2 LOOP
        EXECUTE format(
            $$SELECT array_agg(DISTINCT date_trunc('month', %1$I)::date) FROM %2$s
              WHERE %1$I BETWEEN date '1900-01-01' AND date '2199-12-31'$$, part_key, spare)
        INTO waiting;
        SELECT array_agg(DISTINCT month ORDER BY month) INTO missing
        FROM unnest(wanted || waiting) AS month
        WHERE to_regclass(home || '.' || quote_ident(stem || to_char(month, '_YYYY_MM'))) IS NULL;
        EXIT WHEN missing IS NULL OR turn = 2;
        EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', parent);
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', spare);
    END LOOP;

    FOREACH starts IN ARRAY coalesce(missing, '{}') LOOP
        leaf := stem || to_char(starts, '_YYYY_MM');
        EXECUTE format(
            'CREATE TABLE %s.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
            home, leaf, parent);
        in_month := format('%I >= %L AND %1$I < %3$L', part_key, starts, starts + interval '1 month');
        EXECUTE format(
            'WITH moved AS (DELETE FROM %s WHERE %s RETURNING *) INSERT INTO %s.%I SELECT * FROM moved',
            spare, in_month, home, leaf);
        EXECUTE format(
            'ALTER TABLE %s ATTACH PARTITION %s.%I FOR VALUES FROM (%L) TO (%L)',
            parent, home, leaf, starts, (starts + interval '1 month')::date);
        -- Not before: some releases refuse to attach a table that has such triggers.
        EXECUTE format('SELECT %s.loanmetrics_watch(%L, %L)', home, home || '.' || quote_ident(leaf), stem);
        made := made || leaf;
    END LOOP;
    RETURN made;
END
$body$;

DO $body$
BEGIN
    PERFORM loanmetrics_watch_changes();
END
$body$;
