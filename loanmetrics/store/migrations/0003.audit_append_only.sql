-- depends: 0001.tables

CREATE FUNCTION loanmetrics_refuse_change()
RETURNS trigger
LANGUAGE plpgsql
AS $body$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'insufficient_privilege';
END
$body$;

CREATE TRIGGER audit_tracking_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_tracking
FOR EACH STATEMENT EXECUTE FUNCTION loanmetrics_refuse_change();

-- Fires for replicas too: no session setting switches it off.
ALTER TABLE audit_tracking ENABLE ALWAYS TRIGGER audit_tracking_append_only;

REVOKE UPDATE, DELETE, TRUNCATE ON audit_tracking FROM PUBLIC;
