-- depends: 0007.audit-and-access

-- As before, and whoever may read a table may read its partition by itself, as parallel readers do. A parent's grants
-- are not inherited for that.
CREATE OR REPLACE FUNCTION loanmetrics_watch(watched regclass, told_as text)
RETURNS void
LANGUAGE plpgsql
AS $body$
DECLARE
    wanted record;
    reader text;
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
    FOR reader IN
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent, aclexplode(c.relacl) a
        WHERE i.inhrelid = watched AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', watched, reader);
    END LOOP;
END
$body$;

DO $body$
BEGIN
    EXECUTE format('ALTER FUNCTION loanmetrics_watch SET search_path = pg_catalog, %I, pg_temp', current_schema());
END
$body$;
