-- depends: 0001.tables

-- Gives a monthly partitioned table the months it needs: the current one and three ahead, those of
-- the given days, and those of rows that landed in the default partition, which move into them.
-- Returns the names of the partitions made. Days outside 1900..2199 stay in the default partition.
-- Runs as its owner, so that a loader or an ETL role need not own the lender's tables. Gives up when
-- writers keep it waiting: new ones queue behind it, and the default partition serves meanwhile.
CREATE FUNCTION loanmetrics_ensure_partitions(parent regclass, days date[] DEFAULT '{}')
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
        made := made || leaf;
    END LOOP;
    RETURN made;
END
$body$;

REVOKE EXECUTE ON FUNCTION loanmetrics_ensure_partitions(regclass, date[]) FROM PUBLIC;
