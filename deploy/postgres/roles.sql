-- Three roles that can do what their process needs and nothing else. Run as the owner of the tables, who may create
-- roles, in the database of loanmetrics, after every `loanmetrics migrate`:
--
--     loanmetrics migrate
--     psql -X -1 -v ON_ERROR_STOP=1 -f roles.sql "$OWNER_URL"
--
-- They cannot log in. Give each process a login of its own that belongs to one of them:
--
--     CREATE ROLE risk_worker LOGIN IN ROLE loanmetrics_writer;   -- then \password risk_worker
--     CREATE ROLE risk_api LOGIN IN ROLE loanmetrics_api;
--
-- loading files, migrating and looking after the team (`members`) stay with the owner.
--
--     loanmetrics_reader   reads the lender's tables: notebooks, or a compute on a replica
--     loanmetrics_writer   compute, backfill, worker, verify: reads what the reader does, writes what is derived from it
--     loanmetrics_api      serve: reads figures, appends to the audit chain, keeps log-ins

DO $$
DECLARE
    role name;
BEGIN
    FOREACH role IN ARRAY ARRAY['loanmetrics_reader', 'loanmetrics_writer', 'loanmetrics_api'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I', current_schema(), role);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM %I', current_schema(), role);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
    END LOOP;
    -- By default everybody may connect, make temporary tables and, before PostgreSQL 15, tables.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    -- Figures are compared with what is stored in a temporary table.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO loanmetrics_writer', current_database());
END
$$;

-- reader: the lender's tables, and what tells which of their rows changed.
GRANT SELECT ON
    officers, loans, loan_schedule, repayments, holidays, gl_balances, par15_snapshots,
    change_log, change_readers, change_horizon, loan_reassignments
TO loanmetrics_reader;

-- writer: figures and the log of runs, nothing of the lender's.
GRANT loanmetrics_reader TO loanmetrics_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    officer_metrics_daily, branch_metrics_daily, loan_state, dpd_transitions, change_readers
TO loanmetrics_writer;
GRANT SELECT, INSERT, UPDATE ON schedule_slots TO loanmetrics_writer;
GRANT SELECT, INSERT ON par15_snapshots, restatements, audit_tracking, audit_anchors TO loanmetrics_writer;
GRANT UPDATE (causes) ON restatements TO loanmetrics_writer;
GRANT SELECT, INSERT, UPDATE ON metric_calculation_log TO loanmetrics_writer;
GRANT SELECT, DELETE ON change_log TO loanmetrics_writer;
-- Which migrations were applied, for `verify`.
GRANT SELECT ON _yoyo_migration, _yoyo_log, _yoyo_version TO loanmetrics_writer;
-- These run as their owner, so that the writer need not own the lender's tables or rewrite the log of runs.
GRANT EXECUTE ON FUNCTION
    loanmetrics_ensure_partitions(regclass, date[]), loanmetrics_watch_changes(), loanmetrics_prune_events(interval)
TO loanmetrics_writer;

-- api: of loans and customers only what drilldowns show.
GRANT SELECT ON
    officer_metrics_daily, branch_metrics_daily, loan_state, officers, metric_calculation_log,
    audit_tracking, audit_anchors, audit_requests, team_members, refresh_tokens, login_attempts
TO loanmetrics_api;
GRANT SELECT (loan_id, disbursement_date, customer_id, customer_name, customer_phone, officer_id, loan_amount)
ON loans TO loanmetrics_api;
GRANT SELECT (customer_id, customer_name, customer_phone) ON customers TO loanmetrics_api;
GRANT INSERT ON audit_tracking, audit_anchors, audit_requests, refresh_tokens, login_attempts TO loanmetrics_api;
GRANT UPDATE (used_at, revoked_at) ON refresh_tokens TO loanmetrics_api;
GRANT DELETE ON refresh_tokens, login_attempts TO loanmetrics_api;
-- The same password under newer parameters. Who may do what is not the API's to change.
GRANT UPDATE (password_hash) ON team_members TO loanmetrics_api;

-- Whoever may read a table may read each of its partitions; new ones follow by themselves.
-- With a large change, statistics of a partitioned table have to be asked for (PostgreSQL 17 lets a writer ask).
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT i.inhrelid::regclass AS leaf, quote_ident(pg_get_userbyid(a.grantee)) AS role
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent, aclexplode(c.relacl) a
        WHERE c.relkind = 'p' AND c.relnamespace = current_schema()::regnamespace
            AND a.privilege_type = 'SELECT' AND a.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', part.leaf, part.role);
    END LOOP;
    IF current_setting('server_version_num')::integer >= 170000 THEN
        EXECUTE 'GRANT MAINTAIN ON loan_state TO loanmetrics_writer';
    END IF;
END
$$;
