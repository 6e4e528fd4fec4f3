-- One as-of day, every measure per cell, in PostgreSQL over the prepared integer facts: the peer of the benchmarks.
-- Written to be fast here: one pass over each big table, a bigint sum instead of numeric, tables with statistics
-- between the steps (unlogged: workers scan them in parallel, which temporary tables forbid: 10.6 s instead of
-- 12.6 s for 400,000 loans). Calendar days only, first payment by any money: the default policy's branches, so
-- that the peer pays for no option it does not use. Parameters are filled in by the client, which rolls back;
-- the last statement is the answer.

-- ---------------------------------------------------------------------------------------------- the contract
CREATE UNLOGGED TABLE implied AS
SELECT loan, coalesce(maturity, disbursed + term) AS due, 1 AS number, amount AS principal,
       div(2 * amount::numeric * coalesce(rate, 0) * coalesce(term, 0) + 365000000, 730000000)::bigint AS interest, fee
FROM loans l
WHERE NOT EXISTS (SELECT FROM schedule s WHERE s.loan = l.loan AND s.principal + s.interest + s.fee > 0);
DELETE FROM implied WHERE principal + interest + fee = 0;
ANALYZE implied;

CREATE UNLOGGED TABLE contract AS
SELECT loan,
       sum8(principal + interest + fee) AS total_due,
       sum8(principal) AS principal_due,
       sum8(interest) AS interest_due,
       sum8(fee) AS fee_due,
       coalesce(sum8(fee) FILTER (WHERE due <= %(as_of)s), 0) AS fee_fallen_due,
       min(due) AS first_due,
       max(due) AS last_due
FROM schedule
WHERE principal + interest + fee > 0
GROUP BY loan;
INSERT INTO contract
SELECT loan, principal + interest + fee, principal, interest, fee,
       CASE WHEN due <= %(as_of)s THEN fee ELSE 0 END, due, due
FROM implied;
ANALYZE contract (loan);

CREATE UNLOGGED TABLE book AS
SELECT l.loan, l.cell, l.disbursed, l.amount, l.channel, l.fee AS fee_amount,
       coalesce(l.status = %(written_off)s, false) AS written_off,
       CASE
           WHEN l.closed IS NULL AND l.status = ANY (%(final_statuses)s::int[])
           THEN coalesce(
               (SELECT max(r.day) FROM repayments r WHERE r.loan = l.loan AND NOT r.reversed),
               l.maturity, l.disbursed + l.term, c.last_due
           )
           ELSE l.closed
       END AS closing,
       coalesce(c.total_due, 0) AS total_due,
       coalesce(c.principal_due, 0) AS principal_due,
       coalesce(c.interest_due, 0) AS interest_due,
       coalesce(c.fee_due, 0) AS fee_due,
       coalesce(c.fee_due, 0) > 0 AS has_fee,
       coalesce(c.fee_fallen_due, 0) AS fee_fallen_due,
       c.first_due + %(grace)s AS first_limit
FROM loans l
LEFT JOIN contract c USING (loan);
ANALYZE book (loan);

-- ------------------------------------------------------------------------------- repayments, in a single pass
CREATE UNLOGGED TABLE paid AS
SELECT loan,
       coalesce(sum8(credit) FILTER (WHERE counts), 0) AS credit_now,
       coalesce(sum8(credit) FILTER (WHERE day <= %(back)s AND gone > %(back)s), 0) AS credit_back,
       coalesce(sum8(credit) FILTER (WHERE day <= %(mid)s AND gone > %(mid)s), 0) AS credit_mid,
       min(gone) FILTER (WHERE reversed AND day <= closing) AS reopened_from,
       coalesce(sum8(principal) FILTER (WHERE counts), 0) AS principal,
       coalesce(sum8(interest) FILTER (WHERE counts), 0) AS interest,
       coalesce(sum8(fees) FILTER (WHERE counts), 0) AS fees,
       coalesce(sum8(waiver) FILTER (WHERE counts AND waiver > 0 AND waiver_type = 2), 0) AS waived_principal,
       coalesce(sum8(waiver) FILTER (WHERE counts AND waiver > 0 AND waiver_type = 0), 0) AS waived_interest,
       coalesce(sum8(waiver) FILTER (WHERE counts AND waiver > 0 AND waiver_type = 1), 0) AS waived_fees,
       coalesce(bool_or(cash) FILTER (WHERE counts AND day <= first_limit), false) AS first_cash,
       coalesce(sum8(waived) FILTER (WHERE counts AND day <= first_limit), 0) AS first_waived,
       coalesce(sum8(interest) FILTER (WHERE counts AND day >= %(month_start)s), 0) AS month_interest,
       coalesce(sum8(fees) FILTER (WHERE counts AND day >= %(month_start)s), 0) AS month_fees,
       coalesce(sum8(interest + fees) FILTER (WHERE counts AND day > %(as_of)s - %(flow_days)s), 0) AS flow_yield,
       coalesce(sum8(waiver) FILTER (
           WHERE counts AND waiver > 0 AND waiver_type <> 3 AND day > %(as_of)s - %(waiver_days)s
       ), 0) AS waivers_amount,
       count(*) FILTER (WHERE day > %(as_of)s - %(flow_days)s AND day <= %(as_of)s) AS total_entries,
       count(*) FILTER (
           WHERE backdated AND day > %(as_of)s - %(flow_days)s AND day <= %(as_of)s
       ) AS backdated_count,
       count(*) FILTER (
           WHERE reversed AND coalesce(reversal, day) > %(as_of)s - %(flow_days)s
             AND coalesce(reversal, day) <= %(as_of)s AND day <= %(as_of)s
       ) AS reversals_count,
       count(*) FILTER (
           WHERE counts AND amount > 0 AND day > %(as_of)s - %(float_gap_window_days)s AND method = ANY (%(cash)s::int[])
             AND (created AT TIME ZONE %(time_zone)s)::date - date '1970-01-01' - day > %(float_gap_days)s
       ) AS float_gap_count
FROM (
    SELECT r.loan, r.day, r.reversed, r.reversal, r.principal, r.interest, r.fees, r.waiver, r.waiver_type,
           r.amount, r.backdated, r.method, r.created, b.closing, b.first_limit,
           r.day <= %(as_of)s AND NOT (r.reversed AND coalesce(r.reversal, -2147483647) <= %(as_of)s) AS counts,
           CASE WHEN r.reversed THEN coalesce(r.reversal, -2147483647) ELSE 2147483647 END AS gone,
           r.principal + r.interest + CASE WHEN b.has_fee THEN r.fees ELSE 0 END
               + CASE WHEN r.principal + r.interest + r.fees + r.penalty = 0 THEN r.amount ELSE 0 END
               + CASE WHEN r.waiver_type IN (0, 2) OR r.waiver_type = 1 AND b.has_fee THEN r.waiver ELSE 0 END AS credit,
           CASE WHEN r.waiver_type IN (0, 2) OR r.waiver_type = 1 AND b.has_fee THEN r.waiver ELSE 0 END AS waived,
           r.principal + r.interest + r.fees > 0 OR r.penalty = 0 AND r.amount > 0 AS cash
    FROM repayments r
    JOIN book b USING (loan)
) receipts
GROUP BY loan;
ANALYZE paid (loan);

-- --------------------------------------------- unsplit amounts: fee, interest, principal of the first installments
CREATE UNLOGGED TABLE unsplit AS
SELECT loan, day, amount, row_number() OVER (PARTITION BY loan ORDER BY day, repayment_id COLLATE "C") AS nth
FROM repayments
WHERE principal + interest + fees + penalty = 0 AND amount > 0
  AND day <= %(as_of)s AND NOT (reversed AND coalesce(reversal, -2147483647) <= %(as_of)s);
ANALYZE unsplit;

CREATE UNLOGGED TABLE split_so_far AS
SELECT u.loan, u.nth, u.day, u.amount,
       sum8(r.principal + CASE WHEN r.waiver_type = 2 THEN r.waiver ELSE 0 END) AS principal,
       sum8(r.interest + CASE WHEN r.waiver_type = 0 THEN r.waiver ELSE 0 END) AS interest,
       sum8(CASE WHEN b.has_fee THEN r.fees + CASE WHEN r.waiver_type = 1 THEN r.waiver ELSE 0 END ELSE 0 END) AS fee
FROM unsplit u
JOIN book b USING (loan)
JOIN repayments r ON r.loan = u.loan AND r.day <= u.day
WHERE NOT (r.reversed AND coalesce(r.reversal, -2147483647) <= %(as_of)s)
GROUP BY u.loan, u.nth, u.day, u.amount;
CREATE INDEX ON split_so_far (loan, nth);
ANALYZE split_so_far;

CREATE UNLOGGED TABLE steps AS
SELECT loan, due, principal, interest, fee,
       sum8(principal) OVER upto AS principal_1, sum8(interest) OVER upto AS interest_1, sum8(fee) OVER upto AS fee_1
FROM (
    SELECT loan, due, number, principal, interest, fee FROM schedule WHERE principal + interest + fee > 0
    UNION ALL
    SELECT loan, due, number, principal, interest, fee FROM implied
) installments
WHERE loan IN (SELECT loan FROM unsplit)
WINDOW upto AS (PARTITION BY loan ORDER BY due, number);
CREATE INDEX ON steps (loan);
ANALYZE steps;

CREATE UNLOGGED TABLE placed AS
WITH RECURSIVE walk AS (
    SELECT loan, 0::bigint AS nth, 0 AS day, 0::bigint AS got_principal, 0::bigint AS got_interest,
           0::bigint AS got_fee, 0::bigint AS principal, 0::bigint AS interest, 0::bigint AS fee
    FROM unsplit
    WHERE nth = 1
    UNION ALL
    SELECT w.loan, s.nth, s.day, s.amount - g.interest - g.fee, g.interest, g.fee,
           w.principal + s.amount - g.interest - g.fee, w.interest + g.interest, w.fee + g.fee
    FROM walk w
    JOIN split_so_far s ON s.loan = w.loan AND s.nth = w.nth + 1
    CROSS JOIN LATERAL (
        SELECT coalesce(sum8(greatest(0, least(left_interest, s.amount - filled - left_fee))), 0) AS interest,
               coalesce(sum8(greatest(0, least(left_fee, s.amount - filled))), 0) AS fee
        FROM (
            SELECT greatest(0, t.interest_1 - s.interest - w.interest)
                       - greatest(0, t.interest_1 - t.interest - s.interest - w.interest) AS left_interest,
                   greatest(0, t.fee_1 - s.fee - w.fee)
                       - greatest(0, t.fee_1 - t.fee - s.fee - w.fee) AS left_fee,
                   greatest(0, t.principal_1 - t.principal - s.principal - w.principal)
                       + greatest(0, t.interest_1 - t.interest - s.interest - w.interest)
                       + greatest(0, t.fee_1 - t.fee - s.fee - w.fee) AS filled
            FROM steps t
            WHERE t.loan = w.loan
        ) room
    ) g
)
SELECT loan,
       sum8(got_principal) AS principal, sum8(got_interest) AS interest, sum8(got_fee) AS fees,
       coalesce(sum8(got_interest) FILTER (WHERE day >= %(month_start)s), 0) AS month_interest,
       coalesce(sum8(got_fee) FILTER (WHERE day >= %(month_start)s), 0) AS month_fees,
       coalesce(sum8(got_interest + got_fee) FILTER (WHERE day > %(as_of)s - %(flow_days)s), 0) AS flow_yield
FROM walk
WHERE nth > 0
GROUP BY loan;
ANALYZE placed;

-- -------------------------------------------------------------------------------- the schedule, in a single pass
CREATE UNLOGGED TABLE loan_now AS
SELECT b.loan, b.cell, b.disbursed, b.amount, b.channel, b.fee_amount, b.written_off, b.closing, b.total_due,
       b.principal_due, b.interest_due, b.fee_due, b.has_fee, b.fee_fallen_due, b.first_limit,
       coalesce(p.credit_now, 0) AS credit_now,
       coalesce(p.credit_back, 0) AS credit_back,
       coalesce(p.credit_mid, 0) AS credit_mid,
       greatest(0, b.total_due - coalesce(p.credit_now, 0)) AS outstanding,
       greatest(0, b.total_due - coalesce(p.credit_back, 0)) AS outstanding_back,
       greatest(0, b.total_due - coalesce(p.credit_mid, 0)) AS outstanding_mid,
       coalesce(p.reopened_from, 2147483647) AS reopened_from,
       coalesce(p.principal, 0) + coalesce(u.principal, 0) AS paid_principal,
       coalesce(p.interest, 0) + coalesce(u.interest, 0) AS paid_interest,
       coalesce(p.fees, 0) + coalesce(u.fees, 0) AS paid_fees,
       coalesce(p.waived_principal, 0) AS waived_principal,
       coalesce(p.waived_interest, 0) AS waived_interest,
       coalesce(p.waived_fees, 0) AS waived_fees,
       coalesce(p.first_cash, false) AS first_cash,
       coalesce(p.first_waived, 0) AS first_waived,
       coalesce(p.month_interest, 0) + coalesce(u.month_interest, 0) AS month_interest,
       coalesce(p.month_fees, 0) + coalesce(u.month_fees, 0) AS month_fees,
       coalesce(p.flow_yield, 0) + coalesce(u.flow_yield, 0) AS flow_yield,
       coalesce(p.waivers_amount, 0) AS waivers_amount,
       coalesce(p.total_entries, 0) AS total_entries,
       coalesce(p.backdated_count, 0) AS backdated_count,
       coalesce(p.reversals_count, 0) AS reversals_count,
       coalesce(p.float_gap_count, 0) AS float_gap_count
FROM book b
LEFT JOIN paid p USING (loan)
LEFT JOIN placed u USING (loan);
CREATE UNIQUE INDEX ON loan_now (loan);
ANALYZE loan_now (loan);

CREATE UNLOGGED TABLE unsettled AS
SELECT d.loan,
       min(d.due) FILTER (WHERE d.cum_due - b.credit_now > %(tolerance)s) AS oldest_now,
       min(d.due) FILTER (WHERE d.cum_due - b.credit_back > %(tolerance)s) AS oldest_back,
       min(d.due) FILTER (WHERE d.cum_due - b.credit_mid > %(tolerance)s) AS oldest_mid,
       max(d.amount) FILTER (WHERE d.amount = d.cum_due) AS first_amount,
       coalesce(sum8(greatest(0, d.cum_due - greatest(b.credit_now, d.cum_due - d.amount)))
                FILTER (WHERE d.due > %(as_of)s AND d.due <= %(as_of)s + %(due_days)s), 0) AS due_soon,
       count(*) FILTER (WHERE d.fell_due AND d.due <= b.last_day) AS due_installments,
       count(*) FILTER (
           WHERE d.fell_due AND d.due <= b.last_day AND d.cum_due - b.credit_now <= %(tolerance)s
             AND d.cum_due - %(tolerance)s <= (
                 SELECT coalesce(sum8(
                     r.principal + r.interest + CASE WHEN b.has_fee THEN r.fees ELSE 0 END
                     + CASE WHEN r.principal + r.interest + r.fees + r.penalty = 0 THEN r.amount ELSE 0 END
                     + CASE WHEN r.waiver_type IN (0, 2) OR r.waiver_type = 1 AND b.has_fee THEN r.waiver ELSE 0 END
                 ), 0)
                 FROM repayments r
                 WHERE r.loan = d.loan AND r.day <= d.due
                   AND NOT (r.reversed AND coalesce(r.reversal, -2147483647) <= %(as_of)s)
             )
       ) AS on_time_installments
FROM (
    SELECT loan, due, principal + interest + fee AS amount,
           due > %(as_of)s - %(flow_days)s AND due <= %(as_of)s AS fell_due,
           sum8(principal + interest + fee) OVER (PARTITION BY loan ORDER BY due, number ROWS UNBOUNDED PRECEDING)
               AS cum_due
    FROM schedule
    WHERE principal + interest + fee > 0
    UNION ALL
    SELECT loan, due, principal + interest + fee, due > %(as_of)s - %(flow_days)s AND due <= %(as_of)s,
           principal + interest + fee
    FROM implied
) d
JOIN (
    SELECT loan, credit_now, credit_back, credit_mid, has_fee,
           CASE
               WHEN disbursed > %(as_of)s THEN -2147483647
               WHEN reopened_from <= %(as_of)s AND outstanding > %(tolerance)s AND NOT written_off THEN 2147483647
               ELSE coalesce(closing, 2147483647)
           END AS last_day
    FROM loan_now
) b USING (loan)
GROUP BY d.loan;
ANALYZE unsettled (loan);

-- ----------------------------------------------------------------------------------------------- state per loan
CREATE UNLOGGED TABLE state AS
SELECT l.*, u.due_installments, u.on_time_installments,
       CASE WHEN l.on_book AND u.oldest_now < %(overdue_now)s THEN %(overdue_now)s - u.oldest_now ELSE 0 END AS dpd,
       CASE WHEN l.on_book_back AND u.oldest_back < %(overdue_back)s THEN %(overdue_back)s - u.oldest_back ELSE 0 END
           AS dpd_back,
       CASE WHEN l.on_book_mid AND u.oldest_mid < %(overdue_mid)s THEN %(overdue_mid)s - u.oldest_mid ELSE 0 END
           AS dpd_mid,
       CASE WHEN l.on_book THEN coalesce(u.due_soon, 0) ELSE 0 END AS due_soon,
       CASE WHEN l.decided THEN u.first_amount > l.first_waived AND NOT l.first_cash END AS missed,
       greatest(0, open_principal - greatest(0, surplus - open_fees - open_interest)) AS principal_left
FROM (
    SELECT loan, cell, amount, channel, disbursed, outstanding, outstanding_back, first_waived, first_cash, paid_fees,
           month_interest, month_fees, flow_yield, waivers_amount, total_entries, backdated_count, reversals_count,
           float_gap_count, outstanding_mid,
           disbursed <= %(as_of)s AS disbursed_by_now,
           disbursed <= %(as_of)s AND disbursed > %(as_of)s - %(cohort_days)s AS in_cohort,
           disbursed <= %(as_of)s AND first_limit < %(as_of)s AS decided,
           disbursed <= %(as_of)s AND outstanding > %(tolerance)s
               AND (coalesce(closing, 2147483647) > %(as_of)s OR reopened_from <= %(as_of)s AND NOT written_off)
               AS on_book,
           disbursed <= %(back)s AND outstanding_back > %(tolerance)s
               AND (coalesce(closing, 2147483647) > %(back)s OR reopened_from <= %(back)s AND NOT written_off)
               AS on_book_back,
           disbursed <= %(mid)s AND outstanding_mid > %(tolerance)s
               AND (coalesce(closing, 2147483647) > %(mid)s OR reopened_from <= %(mid)s AND NOT written_off)
               AS on_book_mid,
           CASE
               WHEN disbursed > %(as_of)s OR disbursed <= %(as_of)s - %(frr_days)s THEN 0
               ELSE greatest(0, CASE WHEN has_fee THEN fee_fallen_due ELSE fee_amount END - waived_fees)
           END AS frr_due,
           greatest(0, principal_due - paid_principal - waived_principal) AS open_principal,
           greatest(0, interest_due - paid_interest - waived_interest) AS open_interest,
           CASE WHEN has_fee THEN greatest(0, fee_due - paid_fees - waived_fees) ELSE 0 END AS open_fees,
           greatest(0, paid_principal + waived_principal - principal_due)
               + greatest(0, paid_interest + waived_interest - interest_due)
               + CASE WHEN has_fee THEN greatest(0, paid_fees + waived_fees - fee_due) ELSE 0 END AS surplus
    FROM loan_now
) l
LEFT JOIN unsettled u USING (loan);
ANALYZE state (cell);

-- ----------------------------------------------------------------------------------------------------- channels
CREATE UNLOGGED TABLE reference AS
WITH used AS (
    SELECT DISTINCT channel, name FROM loans JOIN channels USING (channel) WHERE disbursed <= %(as_of)s
)
SELECT c.cell, u.channel
FROM cells c
JOIN officers o USING (officer_id)
JOIN used u ON u.name = o.primary_channel
UNION ALL
SELECT c.cell, u.channel
FROM cells c
JOIN used u ON u.name = ANY (%(pure_channels)s::text[])
WHERE NOT EXISTS (
    SELECT FROM officers o JOIN used w ON w.name = o.primary_channel WHERE o.officer_id = c.officer_id
);
ANALYZE reference;

-- --------------------------------------------------------------------------------------------------- the answer
WITH state_sums AS (
    SELECT cell,
           sum8(outstanding) FILTER (WHERE on_book) AS total_portfolio,
           sum8(principal_left) FILTER (WHERE on_book) AS principal_portfolio,
           count(*) FILTER (WHERE on_book) AS active_loans,
           count(*) FILTER (WHERE disbursed_by_now) AS total_disbursed_count,
           sum8(amount) FILTER (WHERE disbursed_by_now) AS total_disbursed_amount,
           sum8(outstanding) FILTER (WHERE dpd > 15) AS overdue_15d_amount,
           count(*) FILTER (WHERE dpd > 15) AS overdue_15d_count,
           sum8(principal_left) FILTER (WHERE dpd > 1) AS par1_principal,
           sum8(principal_left) FILTER (WHERE dpd > 7) AS par7_principal,
           sum8(principal_left) FILTER (WHERE dpd > 15) AS par15_principal,
           sum8(principal_left) FILTER (WHERE dpd > 30) AS par30_principal,
           sum8(principal_left) FILTER (WHERE dpd > 60) AS par60_principal,
           sum8(principal_left) FILTER (WHERE dpd > 90) AS par90_principal,
           count(*) FILTER (WHERE in_cohort AND missed) AS first_miss_count,
           count(*) FILTER (WHERE in_cohort AND missed IS NOT NULL) AS disbursed_count,
           count(*) FILTER (WHERE missed) AS all_time_first_miss_count,
           count(*) FILTER (WHERE missed IS NOT NULL) AS all_time_decided_count,
           sum8(outstanding) FILTER (WHERE dpd BETWEEN 1 AND 6) AS dpd_1to6_balance,
           sum8(due_soon) AS amount_due_7d,
           sum8(outstanding_back) FILTER (WHERE dpd_back BETWEEN 1 AND 6) AS prev_dpd_1to6_balance,
           sum8(outstanding_back) FILTER (WHERE dpd_back BETWEEN 1 AND 6 AND dpd BETWEEN 7 AND 30) AS moved_to_7to30,
           sum8(frr_due) AS fees_due,
           sum8(least(paid_fees, frr_due)) AS fees_collected,
           sum8(month_interest) AS interest_collected,
           sum8(month_fees) AS total_fees_collected,
           sum8(flow_yield) AS yield_30d,
           sum8(outstanding_mid) FILTER (WHERE dpd_mid > 15) AS par15_mid_month,
           sum8(due_installments) AS due_installments,
           sum8(on_time_installments) AS on_time_installments,
           count(*) FILTER (WHERE in_cohort AND k.cell IS NOT NULL) AS channel_known_count,
           count(*) FILTER (WHERE in_cohort AND r.cell IS NOT NULL) AS pure_channel_count,
           sum8(waivers_amount) AS waivers_amount,
           sum8(total_entries) AS total_entries,
           sum8(backdated_count) AS backdated_count,
           sum8(reversals_count) AS reversals_count,
           sum8(float_gap_count) AS float_gap_count,
           bool_or(on_book OR in_cohort) AS live
    FROM state s
    LEFT JOIN (SELECT DISTINCT cell FROM reference) k USING (cell)
    LEFT JOIN reference r USING (cell, channel)
    GROUP BY cell
),
frozen AS (
    SELECT officer_id, region, branch, sum8(exposure) AS exposure
    FROM par15
    WHERE snapshot_day = %(mid)s
    GROUP BY officer_id, region, branch
)
SELECT coalesce(c.officer_id, f.officer_id) AS officer_id,
       coalesce(c.region, f.region) AS region,
       coalesce(c.branch, f.branch) AS branch,
       coalesce(total_portfolio, 0) AS total_portfolio,
       coalesce(principal_portfolio, 0) AS principal_portfolio,
       coalesce(active_loans, 0) AS active_loans,
       coalesce(total_disbursed_count, 0) AS total_disbursed_count,
       coalesce(total_disbursed_amount, 0) AS total_disbursed_amount,
       coalesce(overdue_15d_amount, 0) AS overdue_15d_amount,
       coalesce(overdue_15d_count, 0) AS overdue_15d_count,
       coalesce(par1_principal, 0) AS par1_principal,
       coalesce(par7_principal, 0) AS par7_principal,
       coalesce(par15_principal, 0) AS par15_principal,
       coalesce(par30_principal, 0) AS par30_principal,
       coalesce(par60_principal, 0) AS par60_principal,
       coalesce(par90_principal, 0) AS par90_principal,
       coalesce(first_miss_count, 0) AS first_miss_count,
       coalesce(disbursed_count, 0) AS disbursed_count,
       coalesce(all_time_first_miss_count, 0) AS all_time_first_miss_count,
       coalesce(all_time_decided_count, 0) AS all_time_decided_count,
       coalesce(dpd_1to6_balance, 0) AS dpd_1to6_balance,
       coalesce(amount_due_7d, 0) AS amount_due_7d,
       coalesce(prev_dpd_1to6_balance, 0) AS prev_dpd_1to6_balance,
       coalesce(moved_to_7to30, 0) AS moved_to_7to30,
       coalesce(fees_due, 0) AS fees_due,
       coalesce(fees_collected, 0) AS fees_collected,
       coalesce(interest_collected, 0) AS interest_collected,
       coalesce(total_fees_collected, 0) AS total_fees_collected,
       coalesce(yield_30d, 0) AS yield_30d,
       CASE
           WHEN EXISTS (SELECT FROM frozen) THEN coalesce(f.exposure, 0)
           ELSE coalesce(par15_mid_month, 0)
       END AS par15_mid_month,
       coalesce(due_installments, 0) AS due_installments,
       coalesce(on_time_installments, 0) AS on_time_installments,
       coalesce(channel_known_count, 0) AS channel_known_count,
       coalesce(pure_channel_count, 0) AS pure_channel_count,
       coalesce(waivers_amount, 0) AS waivers_amount,
       coalesce(total_entries, 0) AS total_entries,
       coalesce(backdated_count, 0) AS backdated_count,
       coalesce(reversals_count, 0) AS reversals_count,
       coalesce(float_gap_count, 0) AS float_gap_count,
       coalesce(live, false)::int::bigint AS total_officers,
       coalesce(live AND float_gap_count > 0, false)::int::bigint AS float_gap_officers
FROM (SELECT * FROM cells JOIN state_sums USING (cell)) c
FULL JOIN frozen f ON f.officer_id = c.officer_id AND f.region = c.region AND f.branch = c.branch;
