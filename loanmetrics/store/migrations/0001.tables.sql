CREATE TABLE customers (
    customer_id text NOT NULL,
    customer_name text,
    customer_phone text,
    customer_email text,
    date_of_birth date,
    gender text,
    state text,
    lga text,
    address text,
    kyc_status text,
    kyc_verified_date date,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    PRIMARY KEY (customer_id)
);

CREATE TABLE officers (
    officer_id text NOT NULL,
    officer_name text,
    officer_phone text,
    officer_email text,
    region text,
    branch text,
    employment_status text,
    hire_date date,
    termination_date date,
    primary_channel text,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    PRIMARY KEY (officer_id)
);

CREATE TABLE loans (
    loan_id text NOT NULL,
    customer_id text,
    customer_name text,
    customer_phone text,
    officer_id text,
    officer_name text,
    officer_phone text,
    region text,
    branch text,
    state text,
    loan_amount numeric(18,2) NOT NULL,
    disbursement_date date NOT NULL,
    maturity_date date,
    loan_term_days integer,
    interest_rate numeric(9,6),
    fee_amount numeric(18,2),
    channel text,
    channel_partner text,
    status text,
    closed_date date,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    PRIMARY KEY (loan_id, disbursement_date),
    CONSTRAINT loans_status_known CHECK (status IN ('Active', 'Closed', 'Defaulted', 'Restructured', 'Written Off')),
    CONSTRAINT loans_no_nan CHECK (loan_amount < 'NaN' AND interest_rate < 'NaN' AND fee_amount < 'NaN')
) PARTITION BY RANGE (disbursement_date);
CREATE TABLE loans_default PARTITION OF loans DEFAULT;

CREATE TABLE loan_schedule (
    schedule_id bigint,
    loan_id text NOT NULL,
    installment_number integer NOT NULL,
    due_date date NOT NULL,
    principal_due numeric(18,2),
    interest_due numeric(18,2),
    fee_due numeric(18,2),
    total_due numeric(18,2),
    payment_status text,
    amount_paid numeric(18,2),
    payment_date date,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    PRIMARY KEY (loan_id, installment_number, due_date),
    CONSTRAINT loan_schedule_no_nan CHECK (principal_due < 'NaN' AND interest_due < 'NaN' AND fee_due < 'NaN' AND total_due < 'NaN' AND amount_paid < 'NaN')
) PARTITION BY RANGE (due_date);
CREATE TABLE loan_schedule_default PARTITION OF loan_schedule DEFAULT;

CREATE TABLE repayments (
    repayment_id text NOT NULL,
    loan_id text NOT NULL,
    payment_date date NOT NULL,
    payment_amount numeric(18,2) NOT NULL,
    principal_paid numeric(18,2),
    interest_paid numeric(18,2),
    fees_paid numeric(18,2),
    penalty_paid numeric(18,2),
    payment_method text,
    payment_reference text,
    payment_channel text,
    dpd_at_payment integer,
    is_backdated boolean,
    is_reversed boolean,
    reversal_date date,
    reversal_reason text,
    waiver_amount numeric(18,2),
    waiver_type text,
    waiver_approved_by text,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    PRIMARY KEY (repayment_id, payment_date),
    CONSTRAINT repayments_waiver_type_known CHECK (waiver_type IN ('Interest', 'Fee', 'Principal', 'Penalty')),
    CONSTRAINT repayments_no_nan CHECK (payment_amount < 'NaN' AND principal_paid < 'NaN' AND interest_paid < 'NaN' AND fees_paid < 'NaN' AND penalty_paid < 'NaN' AND waiver_amount < 'NaN')
) PARTITION BY RANGE (payment_date);
CREATE TABLE repayments_default PARTITION OF repayments DEFAULT;

CREATE TABLE holidays (
    holiday_date date NOT NULL,
    name text,
    PRIMARY KEY (holiday_date)
);

CREATE TABLE gl_balances (
    branch text NOT NULL,
    balance_date date NOT NULL,
    principal numeric(18,2) NOT NULL,
    PRIMARY KEY (branch, balance_date),
    CONSTRAINT gl_balances_no_nan CHECK (principal < 'NaN')
);

CREATE TABLE loan_state (
    loan_id text NOT NULL,
    disbursement_date date NOT NULL,
    schedule_source text NOT NULL,
    on_book boolean NOT NULL,
    closed_as text,
    current_dpd integer NOT NULL,
    dpd_bucket text NOT NULL,
    max_dpd_ever integer NOT NULL,
    first_payment_missed boolean,
    first_payment_due_date date,
    first_payment_received_date date,
    last_payment_date date,
    next_payment_due date,
    principal_outstanding numeric(18,2) NOT NULL,
    interest_outstanding numeric(18,2) NOT NULL,
    fees_outstanding numeric(18,2) NOT NULL,
    total_outstanding numeric(18,2) NOT NULL,
    arrears_amount numeric(18,2) NOT NULL,
    overpaid numeric(18,2) NOT NULL,
    total_principal_paid numeric(18,2) NOT NULL,
    total_interest_paid numeric(18,2) NOT NULL,
    total_fees_paid numeric(18,2) NOT NULL,
    fimr_tagged boolean NOT NULL,
    early_indicator_tagged boolean NOT NULL,
    row_hash bigint NOT NULL,
    PRIMARY KEY (loan_id, disbursement_date),
    CONSTRAINT loan_state_schedule_source_known CHECK (schedule_source IN ('schedule', 'implied')),
    CONSTRAINT loan_state_closed_as_known CHECK (closed_as IN ('paid', 'written_off')),
    CONSTRAINT loan_state_dpd_bucket_known CHECK (dpd_bucket IN ('0', '1-6', '7-30', '31-60', '61-90', '90+')),
    CONSTRAINT loan_state_no_nan CHECK (principal_outstanding < 'NaN' AND interest_outstanding < 'NaN' AND fees_outstanding < 'NaN' AND total_outstanding < 'NaN' AND arrears_amount < 'NaN' AND overpaid < 'NaN' AND total_principal_paid < 'NaN' AND total_interest_paid < 'NaN' AND total_fees_paid < 'NaN')
) PARTITION BY RANGE (disbursement_date);
CREATE TABLE loan_state_default PARTITION OF loan_state DEFAULT;

CREATE TABLE officer_metrics_daily (
    officer_id text NOT NULL,
    calculation_date date NOT NULL,
    officer_name text,
    region text,
    branch text,
    run_id text NOT NULL,
    calculated_at timestamptz NOT NULL,
    PRIMARY KEY (officer_id, calculation_date)
);

CREATE TABLE branch_metrics_daily (
    region text NOT NULL,
    branch text NOT NULL,
    calculation_date date NOT NULL,
    run_id text NOT NULL,
    calculated_at timestamptz NOT NULL,
    PRIMARY KEY (region, branch, calculation_date)
);

CREATE TABLE dpd_transitions (
    loan_id text NOT NULL,
    officer_id text,
    transition_date date NOT NULL,
    from_dpd_bucket text,
    to_dpd_bucket text NOT NULL,
    outstanding_balance numeric(18,2) NOT NULL,
    PRIMARY KEY (loan_id, transition_date),
    CONSTRAINT dpd_transitions_no_nan CHECK (outstanding_balance < 'NaN')
) PARTITION BY RANGE (transition_date);
CREATE TABLE dpd_transitions_default PARTITION OF dpd_transitions DEFAULT;

CREATE TABLE par15_snapshots (
    snapshot_date date NOT NULL,
    officer_id text NOT NULL,
    region text NOT NULL,
    branch text NOT NULL,
    par15_exposure numeric(18,2) NOT NULL,
    par15_count bigint NOT NULL,
    run_id text NOT NULL,
    PRIMARY KEY (snapshot_date, officer_id, region, branch),
    CONSTRAINT par15_snapshots_no_nan CHECK (par15_exposure < 'NaN')
);

CREATE TABLE team_members (
    member_id bigint GENERATED ALWAYS AS IDENTITY,
    member_name text NOT NULL,
    member_email text NOT NULL,
    member_phone text,
    role text,
    department text,
    is_active boolean NOT NULL,
    password_hash text,
    access_role text,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    PRIMARY KEY (member_id),
    CONSTRAINT team_members_access_role_known CHECK (access_role IN ('viewer', 'auditor', 'admin'))
);

CREATE TABLE audit_tracking (
    audit_id bigint GENERATED ALWAYS AS IDENTITY,
    officer_id text,
    event text NOT NULL,
    actor text,
    assignee_id bigint,
    audit_status text,
    action_type text,
    reason text,
    old_value jsonb,
    new_value jsonb,
    figures jsonb,
    run_id text,
    recorded_at timestamptz NOT NULL,
    previous_hash text,
    row_hash text NOT NULL,
    PRIMARY KEY (audit_id),
    CONSTRAINT audit_tracking_audit_status_known CHECK (audit_status IN ('Unassigned', 'Assigned', 'In Progress', 'Resolved'))
);

CREATE TABLE metric_calculation_log (
    log_id bigint GENERATED ALWAYS AS IDENTITY,
    run_id text NOT NULL,
    calculation_type text NOT NULL,
    calculation_date date NOT NULL,
    known_at text,
    start_time timestamptz NOT NULL,
    end_time timestamptz,
    duration_seconds numeric(14,6),
    records_processed bigint,
    records_updated bigint,
    records_failed bigint,
    status text NOT NULL,
    error_message text,
    engine_version text NOT NULL,
    policy_hash text NOT NULL,
    policy jsonb,
    metric_revisions jsonb,
    quarantine jsonb,
    findings jsonb,
    reconciliation jsonb,
    PRIMARY KEY (log_id),
    UNIQUE (run_id),
    CONSTRAINT metric_calculation_log_status_known CHECK (status IN ('Running', 'Completed', 'Failed')),
    CONSTRAINT metric_calculation_log_no_nan CHECK (duration_seconds < 'NaN')
);

CREATE TABLE quarantined_rows (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY,
    source text NOT NULL,
    table_name text NOT NULL,
    row_number bigint,
    row_key text,
    rule text NOT NULL,
    field text,
    content jsonb,
    quarantined_at timestamptz NOT NULL,
    PRIMARY KEY (quarantine_id)
);

CREATE INDEX officers_branch_index ON officers (branch);

CREATE INDEX loans_officer_id_index ON loans (officer_id);

CREATE INDEX loans_branch_index ON loans (branch);

CREATE INDEX loans_customer_id_index ON loans (customer_id);

CREATE INDEX repayments_loan_id_index ON repayments (loan_id);

CREATE INDEX loan_state_loan_id_fimr_tagged_index ON loan_state (loan_id) WHERE fimr_tagged;

CREATE INDEX loan_state_loan_id_early_indicator_tagged_index ON loan_state (loan_id) WHERE early_indicator_tagged;

CREATE INDEX officer_metrics_daily_calculation_date_officer_id_index ON officer_metrics_daily (calculation_date, officer_id);

CREATE INDEX officer_metrics_daily_calculation_date_branch_index ON officer_metrics_daily (calculation_date, branch);

CREATE INDEX branch_metrics_daily_calculation_date_region_branch_index ON branch_metrics_daily (calculation_date, region, branch);

CREATE INDEX dpd_transitions_officer_id_transition_date_index ON dpd_transitions (officer_id, transition_date);

CREATE INDEX audit_tracking_officer_id_audit_id_index ON audit_tracking (officer_id, audit_id);

CREATE INDEX metric_calculation_log_start_time_index ON metric_calculation_log (start_time);

CREATE INDEX metric_calculation_log_calculation_date_calculation_type_index ON metric_calculation_log (calculation_date, calculation_type);

CREATE INDEX quarantined_rows_table_name_rule_index ON quarantined_rows (table_name, rule);

CREATE INDEX quarantined_rows_quarantined_at_index ON quarantined_rows (quarantined_at);

CREATE UNIQUE INDEX team_members_lower_member_email_index ON team_members (lower(member_email));

CREATE VIEW loans_with_state AS SELECT
    loans.loan_id,
    loans.customer_id,
    loans.customer_name,
    loans.customer_phone,
    loans.officer_id,
    loans.officer_name,
    loans.officer_phone,
    loans.region,
    loans.branch,
    loans.state,
    loans.loan_amount,
    loans.disbursement_date,
    loans.maturity_date,
    loans.loan_term_days,
    loans.interest_rate,
    loans.fee_amount,
    loans.channel,
    loans.channel_partner,
    loans.status,
    loans.closed_date,
    loans.created_at,
    loans.updated_at,
    loan_state.schedule_source,
    loan_state.on_book,
    loan_state.closed_as,
    loan_state.current_dpd,
    loan_state.dpd_bucket,
    loan_state.max_dpd_ever,
    loan_state.first_payment_missed,
    loan_state.first_payment_due_date,
    loan_state.first_payment_received_date,
    loan_state.last_payment_date,
    loan_state.next_payment_due,
    loan_state.principal_outstanding,
    loan_state.interest_outstanding,
    loan_state.fees_outstanding,
    loan_state.total_outstanding,
    loan_state.arrears_amount,
    loan_state.overpaid,
    loan_state.total_principal_paid,
    loan_state.total_interest_paid,
    loan_state.total_fees_paid,
    loan_state.fimr_tagged,
    loan_state.early_indicator_tagged
FROM loans LEFT JOIN loan_state USING (loan_id, disbursement_date);
