-- depends: 0008.partition-grants

-- Which slot of the schedule each task was last done for, so that whichever worker leads knows what is due.
CREATE TABLE schedule_slots (
    task text NOT NULL,
    slot timestamptz NOT NULL,
    done_at timestamptz NOT NULL,
    PRIMARY KEY (task)
);

-- Wakes the worker when a transaction that changed the lender's tables commits. It says nothing of what changed: a
-- call that is lost costs a moment, never a change.
CREATE FUNCTION loanmetrics_call_out()
RETURNS trigger
LANGUAGE plpgsql
AS $body$
BEGIN
    PERFORM pg_notify('loanmetrics_changes', '');
    RETURN NULL;
END
$body$;

CREATE TRIGGER change_log_call_out
AFTER INSERT ON change_log
FOR EACH STATEMENT EXECUTE FUNCTION loanmetrics_call_out();

ALTER TABLE change_log ENABLE ALWAYS TRIGGER change_log_call_out;

-- Event runs come by the thousand; once the schedule has gone over their figures nothing needs their rows, unless a
-- figure, a restatement or the audit chain names them. Nothing else of the log can be deleted by this.
CREATE FUNCTION loanmetrics_prune_events(older_than interval)
RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
AS $body$
    WITH pruned AS (
        DELETE FROM metric_calculation_log made
        WHERE calculation_type = 'event' AND status <> 'Running'
            AND start_time < now() - greatest(older_than, interval '1 hour')
            AND log_id < (SELECT max(log_id) FROM metric_calculation_log WHERE status = 'Completed')
            AND NOT EXISTS (
                SELECT FROM officer_metrics_daily told
                WHERE (told.calculation_date, told.run_id) = (made.calculation_date, made.run_id)
            )
            AND NOT EXISTS (
                SELECT FROM branch_metrics_daily told
                WHERE (told.calculation_date, told.run_id) = (made.calculation_date, made.run_id)
            )
            AND NOT EXISTS (SELECT FROM restatements r WHERE made.run_id IN (r.run_id, r.before_run_id))
            AND NOT EXISTS (SELECT FROM audit_tracking a WHERE a.run_id = made.run_id)
        RETURNING 1
    )
    SELECT count(*) FROM pruned
$body$;

DO $body$
DECLARE
    ours text;
BEGIN
    FOREACH ours IN ARRAY ARRAY['call_out', 'prune_events'] LOOP
        EXECUTE format(
            'ALTER FUNCTION loanmetrics_%s SET search_path = pg_catalog, %I, pg_temp', ours, current_schema());
    END LOOP;
END
$body$;

REVOKE EXECUTE ON FUNCTION loanmetrics_prune_events(interval) FROM PUBLIC;
