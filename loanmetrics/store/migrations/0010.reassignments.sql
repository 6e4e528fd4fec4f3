-- depends: 0009.worker

-- Who each loan was with until it was given to another, or was deleted: the lender's tables know only who it is with now.
-- A row without a loan says that of before then nothing is known.
CREATE TABLE loan_reassignments (
    reassignment_id bigint GENERATED ALWAYS AS IDENTITY,
    loan_id text,
    officer_id text,
    region text,
    branch text,
    reassigned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (reassignment_id)
);

CREATE INDEX loan_reassignments_loan_id_reassignment_id_index ON loan_reassignments (loan_id, reassignment_id);

-- As before, and whom loans were taken from is recorded. Where a loan's newest record is of the same officer and place,
-- its end moves: a lender who deletes and inserts his loans every night leaves one record of each, not one a night.
CREATE OR REPLACE FUNCTION loanmetrics_log_loans()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $body$
DECLARE
    most CONSTANT integer := 50000;
    place CONSTANT text := 'loan_id::text, officer_id::text, region::text, branch::text';
    record_parted CONSTANT text := $record$
        WITH parted AS MATERIALIZED (SELECT %1$s FROM gone EXCEPT SELECT %1$s FROM %2$s),
            newest AS MATERIALIZED (
                SELECT DISTINCT ON (r.loan_id) r.*
                FROM loan_reassignments r JOIN parted USING (loan_id)
                ORDER BY r.loan_id, r.reassignment_id DESC
            ),
            longer AS (
                UPDATE loan_reassignments r SET reassigned_at = greatest(r.reassigned_at, clock_timestamp())
                FROM newest n JOIN parted p USING (loan_id)
                WHERE r.reassignment_id = n.reassignment_id
                    AND (p.officer_id, p.region, p.branch) IS NOT DISTINCT FROM (n.officer_id, n.region, n.branch)
                RETURNING r.loan_id, r.officer_id, r.region, r.branch
            )
        INSERT INTO loan_reassignments (loan_id, officer_id, region, branch)
        SELECT loan_id, officer_id, region, branch FROM parted
        EXCEPT SELECT loan_id, officer_id, region, branch FROM longer
    $record$;
    called_by text;
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
        IF TG_ARGV[0] = 'loans' AND EXISTS (SELECT FROM gone) THEN
            -- Rows that leave the default partition for one of their month are deleted there, and stay loans.
            GET DIAGNOSTICS called_by = PG_CONTEXT;
            IF position('loanmetrics_ensure_partitions(' IN called_by) = 0 THEN
                EXECUTE format(record_parted, place, 'gone WHERE false');
            END IF;
        END IF;
    WHEN 'UPDATE' THEN
        WITH touched AS MATERIALIZED (
                SELECT loan_id FROM gone UNION SELECT loan_id FROM came LIMIT most + 1
            ),
            counted AS MATERIALIZED (SELECT count(*) > most AS too_many FROM touched)
        INSERT INTO change_log (source_table, loan_id)
        SELECT TG_ARGV[0], loan_id FROM touched, counted WHERE NOT too_many
        UNION ALL SELECT TG_ARGV[0], NULL FROM counted WHERE too_many;
        -- Other tables lack these columns: what names them must not even be planned there.
        IF TG_ARGV[0] = 'loans' THEN
            IF EXISTS (
                SELECT loan_id, officer_id, region, branch FROM gone
                EXCEPT SELECT loan_id, officer_id, region, branch FROM came
            ) THEN
                EXECUTE format(record_parted, place, 'came');
            END IF;
        END IF;
    END CASE;
    RETURN NULL;
END
$body$;

-- As before, and whom loans were with when all were swept away at once nobody knows any more.
CREATE OR REPLACE FUNCTION loanmetrics_log_table()
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
        IF TG_ARGV[0] = 'loans' THEN
            INSERT INTO loan_reassignments DEFAULT VALUES;
        END IF;
    ELSE
        INSERT INTO change_log (source_table) SELECT TG_ARGV[0] FROM gone LIMIT 1;
    END CASE;
    RETURN NULL;
END
$body$;

-- As before, and what happened to loans while nobody watched was not recorded.
CREATE OR REPLACE FUNCTION loanmetrics_watch_changes()
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
            INSERT INTO loan_reassignments (loan_id) SELECT NULL WHERE blind.source = 'loans';
            mended := mended || blind.name;
        EXCEPTION WHEN lock_not_available OR insufficient_privilege OR wrong_object_type THEN
            NULL;
        END;
    END LOOP;
    RETURN mended;
END
$body$;

DO $body$
DECLARE
    ours text;
BEGIN
    FOREACH ours IN ARRAY ARRAY['log_loans', 'log_table', 'watch_changes'] LOOP
        EXECUTE format(
            'ALTER FUNCTION loanmetrics_%s SET search_path = pg_catalog, %I, pg_temp', ours, current_schema());
    END LOOP;
END
$body$;

CREATE TRIGGER loan_reassignments_append_only
BEFORE DELETE OR TRUNCATE ON loan_reassignments
FOR EACH STATEMENT EXECUTE FUNCTION loanmetrics_refuse_change();

CREATE TRIGGER loan_reassignments_only_last_longer
BEFORE UPDATE ON loan_reassignments
FOR EACH ROW WHEN (
    (OLD.reassignment_id, OLD.loan_id, OLD.officer_id, OLD.region, OLD.branch)
        IS DISTINCT FROM (NEW.reassignment_id, NEW.loan_id, NEW.officer_id, NEW.region, NEW.branch)
    OR NEW.reassigned_at < OLD.reassigned_at
) EXECUTE FUNCTION loanmetrics_refuse_change();

ALTER TABLE loan_reassignments ENABLE ALWAYS TRIGGER loan_reassignments_append_only;

ALTER TABLE loan_reassignments ENABLE ALWAYS TRIGGER loan_reassignments_only_last_longer;

REVOKE UPDATE, DELETE, TRUNCATE ON loan_reassignments FROM PUBLIC;

INSERT INTO loan_reassignments DEFAULT VALUES;
