-- depends: 0005.restatements

-- A token names the version of its member: whatever changes who may do what makes the next one.
ALTER TABLE team_members ADD COLUMN member_version integer NOT NULL DEFAULT 1;

-- Two rows can never follow the same row: the chain cannot fork.
CREATE UNIQUE INDEX audit_tracking_previous_hash_index ON audit_tracking (previous_hash);

CREATE TABLE audit_anchors (
    anchor_id bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    reference text NOT NULL,
    audit_id bigint NOT NULL,
    row_hash text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (anchor_id),
    CONSTRAINT audit_anchors_kind_known CHECK (kind IN ('run', 'export'))
);

CREATE TABLE audit_requests (
    actor text NOT NULL,
    request_key text NOT NULL,
    request_hash text NOT NULL,
    audit_id bigint NOT NULL,
    PRIMARY KEY (actor, request_key)
);

CREATE TABLE refresh_tokens (
    token_hash text NOT NULL,
    family text NOT NULL,
    member_id bigint NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (token_hash)
);

CREATE TABLE login_attempts (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY,
    account_hash text NOT NULL,
    address_hash text NOT NULL,
    attempted_at timestamptz NOT NULL,
    PRIMARY KEY (attempt_id)
);

CREATE INDEX audit_anchors_kind_reference_index ON audit_anchors (kind, reference);

CREATE INDEX refresh_tokens_family_index ON refresh_tokens (family);

CREATE INDEX refresh_tokens_member_id_index ON refresh_tokens (member_id);

CREATE INDEX refresh_tokens_expires_at_index ON refresh_tokens (expires_at);

CREATE INDEX login_attempts_account_hash_attempted_at_index ON login_attempts (account_hash, attempted_at);

CREATE INDEX login_attempts_address_hash_attempted_at_index ON login_attempts (address_hash, attempted_at);

CREATE INDEX login_attempts_attempted_at_index ON login_attempts (attempted_at);

CREATE TRIGGER audit_anchors_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_anchors
FOR EACH STATEMENT EXECUTE FUNCTION loanmetrics_refuse_change();

ALTER TABLE audit_anchors ENABLE ALWAYS TRIGGER audit_anchors_append_only;

REVOKE UPDATE, DELETE, TRUNCATE ON audit_anchors FROM PUBLIC;
