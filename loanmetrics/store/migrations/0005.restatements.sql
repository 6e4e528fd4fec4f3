-- depends: 0004.change-log

CREATE TABLE restatements (
    restatement_id bigint GENERATED ALWAYS AS IDENTITY,
    table_name text NOT NULL,
    row_key text NOT NULL,
    calculation_date date NOT NULL,
    before jsonb,
    after jsonb,
    before_run_id text NOT NULL,
    run_id text NOT NULL,
    restated_at timestamptz NOT NULL,
    PRIMARY KEY (restatement_id)
);
