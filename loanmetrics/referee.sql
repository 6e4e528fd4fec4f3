-- The whole book in one chain of set-based steps: a second opinion that shares no code with the engine.
-- Reads the prepared facts (loans, schedule, repayments, cells, officers, channels, methods, holidays, par15).
-- Money is minor units, days are counted from 1970-01-01, products are HUGEINT: nothing is ever rounded but
-- the interest of an implied installment. A stock is asked for on three days: D (now), the roll day (back)
-- and the latest 15th (mid). The caller appends a SELECT from cell_measures or from loan_rows.
WITH RECURSIVE

-- ------------------------------------------------------------------------------------------------ calendar
business AS (  -- each day with the business days up to it; empty unless the policy counts business days
    SELECT day, works, sum(works::INTEGER) OVER (ORDER BY day) AS upto
    FROM (
        SELECT day,
               NOT list_contains($weekend::INTEGER[], ((day + 3) % 7 + 7) % 7 + 1)
                   AND day NOT IN (SELECT day FROM holidays) AS works
        FROM (
            SELECT unnest(range(
                least(-25600, $as_of - 7 * ($roll_days + 2 + (SELECT count(*) FROM holidays))), $as_of + 1
            ))::INTEGER AS day
        )
        WHERE $business
    )
),
days AS (
    SELECT
        $as_of::INTEGER AS now,
        CASE
            WHEN $business THEN (SELECT day FROM business WHERE works ORDER BY day DESC LIMIT 1 OFFSET $roll_days)
            ELSE $as_of - $roll_days
        END::INTEGER AS back,
        CASE
            WHEN extract(day FROM today) >= 15 THEN month + 14
            ELSE date_trunc('month', month - 1)::DATE + 14
        END - DATE '1970-01-01' AS mid,
        month - DATE '1970-01-01' AS month_start
    FROM (
        SELECT DATE '1970-01-01' + $as_of::INTEGER AS today,
               date_trunc('month', DATE '1970-01-01' + $as_of::INTEGER)::DATE AS month
    )
),

-- ------------------------------------------------------------------------------------------------ contract
scheduled AS (
    SELECT loan, due, number, principal, interest, fee
    FROM schedule
    WHERE principal + interest + fee > 0
),
implied AS (  -- one installment at maturity for a loan without any that is not zero
    SELECT loan, coalesce(maturity, disbursed + term) AS due, 1 AS number, amount AS principal,
           ((2 * amount::HUGEINT * coalesce(rate, 0) * coalesce(term, 0) + 365000000) // 730000000)::BIGINT AS interest,
           fee
    FROM loans ANTI JOIN scheduled USING (loan)
),
installments AS (
    FROM scheduled
    UNION ALL
    FROM implied WHERE principal + interest + fee > 0
),
dues AS (
    SELECT loan, due, number, fee, principal + interest + fee AS amount, principal, interest,
           sum(principal + interest + fee) OVER (PARTITION BY loan ORDER BY due, number)::BIGINT AS cum_due
    FROM installments
),
contract AS (
    SELECT loan,
           sum(amount)::BIGINT AS total_due,
           sum(principal)::BIGINT AS principal_due,
           sum(interest)::BIGINT AS interest_due,
           sum(fee)::BIGINT AS fee_due,
           coalesce(sum(fee) FILTER (WHERE due <= $as_of), 0)::BIGINT AS fee_fallen_due,
           min(due) AS first_due,
           max(due) AS last_due,
           max(amount) FILTER (WHERE amount = cum_due) AS first_amount
    FROM dues
    GROUP BY loan
),
last_true_payment AS (  -- closes a loan of a final status that has no closing date
    SELECT loan, max(day) AS day
    FROM repayments
    WHERE NOT reversed AND loan IN (SELECT loan FROM loans WHERE closed IS NULL AND status IS NOT NULL)
    GROUP BY loan
),
book AS (
    SELECT l.loan, l.loan_id, l.cell, l.disbursed, l.channel, l.fee AS fee_amount,
           coalesce(l.status = $written_off, FALSE) AS written_off,
           coalesce(
               l.closed,
               CASE
                   WHEN list_contains($final_statuses::INTEGER[], l.status::INTEGER)
                   THEN coalesce(p.day, l.maturity, l.disbursed + l.term, c.last_due)
               END
           ) AS closing,
           coalesce(c.total_due, 0) AS total_due,
           coalesce(c.principal_due, 0) AS principal_due,
           coalesce(c.interest_due, 0) AS interest_due,
           coalesce(c.fee_due, 0) AS fee_due,
           coalesce(c.fee_due, 0) > 0 AS has_fee,
           coalesce(c.fee_fallen_due, 0) AS fee_fallen_due,
           c.first_due, c.first_due + $grace AS first_limit, c.first_amount
    FROM loans l
    LEFT JOIN contract c USING (loan)
    LEFT JOIN last_true_payment p USING (loan)
),

-- ------------------------------------------------------------------------------------------------ receipts
receipts AS NOT MATERIALIZED (  -- a row counts on the days t with day <= t < gone
    SELECT r.loan, b.cell, r.day, r.reversed, r.reversal, r.backdated, b.closing, b.first_limit,
           CASE WHEN NOT r.reversed THEN 2147483647 ELSE coalesce(r.reversal, -2147483647) END AS gone,
           r.day <= $as_of AND gone > $as_of AS counts,
           r.principal, r.interest, r.fees,
           CASE WHEN r.principal + r.interest + r.fees + r.penalty = 0 THEN r.amount ELSE 0 END AS unsplit,
           CASE WHEN r.waiver_type = 0 THEN r.waiver ELSE 0 END AS waived_interest,
           CASE WHEN r.waiver_type = 1 THEN r.waiver ELSE 0 END AS waived_fees,
           CASE WHEN r.waiver_type = 2 THEN r.waiver ELSE 0 END AS waived_principal,
           CASE WHEN b.has_fee THEN r.fees ELSE 0 END AS credited_fees,
           CASE WHEN r.waiver_type IN (0, 2) OR r.waiver_type = 1 AND b.has_fee THEN r.waiver ELSE 0 END AS waived,
           r.principal + r.interest + credited_fees + unsplit + waived AS credit,
           r.principal + r.interest + r.fees + unsplit AS cash
    FROM repayments r
    JOIN book b USING (loan)
),

-- unsplit amounts, one after the other: each fills fee, interest, principal of the first installments
unsplit AS (
    SELECT loan, day, amount, row_number() OVER (PARTITION BY loan ORDER BY day, repayment_id) AS nth
    FROM repayments
    WHERE principal + interest + fees + penalty = 0
      AND amount > 0
      AND day <= $as_of
      AND NOT (reversed AND (reversal IS NULL OR reversal <= $as_of))
),
split_so_far AS (
    SELECT u.loan, u.nth, u.day, u.amount,
           sum(c.principal + c.waived_principal)::BIGINT AS principal,
           sum(c.interest + c.waived_interest)::BIGINT AS interest,
           sum(c.credited_fees + c.waived - c.waived_principal - c.waived_interest)::BIGINT AS fee
    FROM unsplit u
    JOIN receipts c ON c.loan = u.loan AND c.day <= u.day AND c.counts
    GROUP BY u.loan, u.nth, u.day, u.amount
),
steps AS (  -- installments of those loans, by part: due before this one, due up to this one
    SELECT loan,
           sum(principal) OVER upto - principal AS principal_0,
           sum(interest) OVER upto - interest AS interest_0, sum(interest) OVER upto AS interest_1,
           sum(fee) OVER upto - fee AS fee_0, sum(fee) OVER upto AS fee_1
    FROM dues SEMI JOIN unsplit USING (loan)
    WINDOW upto AS (PARTITION BY loan ORDER BY due, number)
),
rungs AS MATERIALIZED (  -- each unsplit amount against each installment, less what was split or waived so far
    SELECT s.loan, s.nth, s.day, s.amount,
           principal_0 - s.principal AS principal_0,
           interest_0 - s.interest AS interest_0, interest_1 - s.interest AS interest_1,
           fee_0 - s.fee AS fee_0, fee_1 - s.fee AS fee_1
    FROM split_so_far s
    LEFT JOIN steps USING (loan)
),
placed AS (  -- principal, interest, fee: placed so far; got_*: placed by this amount
    SELECT loan, 0::BIGINT AS nth, 0 AS day, 0::BIGINT AS got_interest, 0::BIGINT AS got_fee, 0::BIGINT AS got_principal,
           0::BIGINT AS interest, 0::BIGINT AS fee, 0::BIGINT AS principal
    FROM unsplit
    WHERE nth = 1
    UNION ALL
    SELECT loan, nth, day, got_interest, got_fee, amount - got_interest - got_fee,
           interest + got_interest, fee + got_fee, principal + amount - got_interest - got_fee
    FROM (
        SELECT loan, nth, day, amount, interest, fee, principal,
               sum(greatest(0, least(left_interest, amount - filled - left_fee)))::BIGINT AS got_interest,
               sum(greatest(0, least(left_fee, amount - filled)))::BIGINT AS got_fee
        FROM (
            SELECT p.loan, r.nth, r.day, r.amount, p.interest, p.fee, p.principal,
                   greatest(0, r.interest_1 - p.interest) - greatest(0, r.interest_0 - p.interest) AS left_interest,
                   greatest(0, r.fee_1 - p.fee) - greatest(0, r.fee_0 - p.fee) AS left_fee,
                   greatest(0, r.principal_0 - p.principal)
                       + greatest(0, r.interest_0 - p.interest)
                       + greatest(0, r.fee_0 - p.fee) AS filled
            FROM placed p
            JOIN rungs r ON r.loan = p.loan AND r.nth = p.nth + 1
        )
        GROUP BY loan, nth, day, amount, interest, fee, principal
    )
),
placed_sums AS (
    SELECT loan, sum(got_principal)::BIGINT AS principal, sum(got_interest)::BIGINT AS interest, sum(got_fee)::BIGINT AS fees
    FROM placed
    GROUP BY loan
),

-- ------------------------------------------------------------------------------------------- sums per loan
paid AS (
    SELECT loan,
           coalesce(sum(credit) FILTER (WHERE counts), 0)::BIGINT AS credit_now,
           coalesce(sum(credit) FILTER (WHERE day <= back AND gone > back), 0)::BIGINT AS credit_back,
           coalesce(sum(credit) FILTER (WHERE day <= mid AND gone > mid), 0)::BIGINT AS credit_mid,
           min(gone) FILTER (WHERE reversed AND day <= closing) AS reopened_from,
           coalesce(sum(principal) FILTER (WHERE counts), 0)::BIGINT AS principal,
           coalesce(sum(interest) FILTER (WHERE counts), 0)::BIGINT AS interest,
           coalesce(sum(fees) FILTER (WHERE counts), 0)::BIGINT AS fees,
           coalesce(sum(waived_principal) FILTER (WHERE counts), 0)::BIGINT AS waived_principal,
           coalesce(sum(waived_interest) FILTER (WHERE counts), 0)::BIGINT AS waived_interest,
           coalesce(sum(waived_fees) FILTER (WHERE counts), 0)::BIGINT AS waived_fees,
           coalesce(sum(cash) FILTER (WHERE counts AND day <= first_limit), 0)::BIGINT AS first_cash,
           coalesce(sum(credit) FILTER (WHERE counts AND day <= first_limit), 0)::BIGINT AS first_credit,
           coalesce(sum(waived) FILTER (WHERE counts AND day <= first_limit), 0)::BIGINT AS first_waived,
           min(day) FILTER (WHERE counts AND cash > 0) AS first_cash_day,
           max(day) FILTER (WHERE counts AND cash > 0) AS last_cash_day
    FROM receipts, days
    GROUP BY loan
),
credits AS (
    SELECT b.loan, coalesce(p.credit_now, 0) AS credit_now, coalesce(p.credit_back, 0) AS credit_back,
           coalesce(p.credit_mid, 0) AS credit_mid, p.reopened_from
    FROM book b
    LEFT JOIN paid p USING (loan)
),
unsettled AS (  -- cum_due only grows, so the oldest unsettled installment is the earliest beyond the credit
    SELECT d.loan,
           min(d.due) FILTER (WHERE d.cum_due - c.credit_now > $tolerance) AS oldest_now,
           min(d.due) FILTER (WHERE d.cum_due - c.credit_back > $tolerance) AS oldest_back,
           min(d.due) FILTER (WHERE d.cum_due - c.credit_mid > $tolerance) AS oldest_mid,
           min(d.due) FILTER (WHERE d.cum_due - c.credit_now > $tolerance AND d.due > $as_of) AS next_due,
           max(d.cum_due) FILTER (WHERE d.due < $as_of OR $inclusive AND d.due = $as_of) AS fallen_due,
           coalesce(sum(greatest(0, d.cum_due - greatest(c.credit_now, d.cum_due - d.amount)))
                    FILTER (WHERE d.due > $as_of AND d.due <= $as_of + $due_days), 0)::BIGINT AS due_soon
    FROM dues d
    JOIN credits c USING (loan)
    GROUP BY d.loan
),

-- -------------------------------------------------------------------------------------------------- stocks
positions AS (
    SELECT loan, 'now' AS stock, now AS day, credit_now AS credit, oldest_now AS oldest, reopened_from
    FROM credits LEFT JOIN unsettled USING (loan), days
    UNION ALL
    SELECT loan, 'back', back, credit_back, oldest_back, reopened_from
    FROM credits LEFT JOIN unsettled USING (loan), days
    UNION ALL
    SELECT loan, 'mid', mid, credit_mid, oldest_mid, reopened_from
    FROM credits LEFT JOIN unsettled USING (loan), days
    WHERE mid NOT IN (SELECT snapshot_day FROM par15)
),
probes AS (  -- for max DPD, which only falls when money comes in or a loan closes: the day before is enough
    SELECT DISTINCT loan, day
    FROM (
        SELECT loan, day - 1 AS day FROM receipts
        UNION ALL
        SELECT loan, unnest([closing - 1, $as_of]) FROM book
    )
    JOIN book USING (loan)
    WHERE $ever AND day BETWEEN disbursed AND $as_of
),
probe_credits AS (
    SELECT p.loan, p.day, coalesce(sum(r.credit) FILTER (WHERE r.day <= p.day AND r.gone > p.day), 0)::BIGINT AS credit
    FROM probes p
    LEFT JOIN receipts r USING (loan)
    GROUP BY p.loan, p.day
),
all_positions AS (
    FROM positions
    UNION ALL
    SELECT p.loan, 'ever', p.day, p.credit,
           min(d.due) FILTER (WHERE d.cum_due - p.credit > $tolerance), any_value(c.reopened_from)
    FROM probe_credits p
    JOIN credits c USING (loan)
    LEFT JOIN dues d USING (loan)
    GROUP BY p.loan, p.day, p.credit
),
stocks AS (
    SELECT p.loan, p.stock, p.day, p.credit, p.oldest, b.closing,
           greatest(0, b.total_due - p.credit) AS outstanding,
           outstanding > $tolerance AS owes,
           coalesce(p.reopened_from <= p.day, FALSE) AND owes AND NOT b.written_off AS reopened,
           coalesce(b.closing <= p.day, FALSE) AND NOT reopened AS closed,
           b.disbursed <= p.day AND owes AND NOT closed AS on_book,
           on_book AND coalesce(p.oldest < p.day OR $inclusive AND p.oldest = p.day, FALSE) AS overdue
    FROM all_positions p
    JOIN book b USING (loan)
),
aged AS (
    SELECT s.* EXCLUDE (closing),
           CASE
               WHEN NOT s.overdue THEN 0
               WHEN $business THEN till.upto - before.upto
               ELSE s.day - s.oldest + $inclusive::INTEGER
           END AS dpd
    FROM stocks s
    LEFT JOIN business till ON till.day = s.day
    LEFT JOIN business before ON before.day = s.oldest - $inclusive::INTEGER
),

-- -------------------------------------------------------------------------------------------- state per loan
parts AS (  -- before surpluses: what is left of each part, negative where it was paid beyond
    SELECT b.loan,
           coalesce(n.principal, 0) + coalesce(u.principal, 0) AS paid_principal,
           coalesce(n.interest, 0) + coalesce(u.interest, 0) AS paid_interest,
           coalesce(n.fees, 0) + coalesce(u.fees, 0) AS paid_fees,
           coalesce(n.waived_fees, 0) AS waived_fees,
           b.principal_due - paid_principal - coalesce(n.waived_principal, 0) AS raw_principal,
           b.interest_due - paid_interest - coalesce(n.waived_interest, 0) AS raw_interest,
           CASE WHEN b.has_fee THEN b.fee_due - paid_fees - coalesce(n.waived_fees, 0) ELSE 0 END AS raw_fees,
           coalesce(n.first_cash, 0) AS first_cash,
           coalesce(n.first_credit, 0) AS first_credit,
           coalesce(n.first_waived, 0) AS first_waived,
           n.first_cash_day, n.last_cash_day
    FROM book b
    LEFT JOIN paid n USING (loan)
    LEFT JOIN placed_sums u USING (loan)
),
balances AS (  -- the pooled surplus pays fees, then interest, then principal
    SELECT *,
           -least(0, raw_principal) - least(0, raw_interest) - least(0, raw_fees) AS surplus,
           greatest(0, raw_fees) AS open_fees,
           greatest(0, raw_interest) AS open_interest,
           greatest(0, raw_principal) AS open_principal,
           greatest(0, open_fees - surplus) AS fees_left,
           greatest(0, open_interest - greatest(0, surplus - open_fees)) AS interest_left,
           greatest(0, open_principal - greatest(0, surplus - open_fees - open_interest)) AS principal_left
    FROM parts
),
state AS (
    SELECT b.*, p.* EXCLUDE (loan), s.on_book, s.overdue, s.closed, s.reopened, s.credit, s.outstanding, s.dpd,
           u.next_due,
           b.disbursed <= $as_of AS disbursed_by_now,
           disbursed_by_now AND b.disbursed > $as_of - $cohort_days AS in_cohort,
           CASE WHEN s.overdue THEN greatest(0, u.fallen_due - s.credit) ELSE 0 END AS arrears,
           CASE WHEN s.on_book THEN coalesce(u.due_soon, 0) ELSE 0 END AS due_soon,
           CASE
               WHEN NOT disbursed_by_now OR b.first_limit IS NULL OR b.first_limit >= $as_of THEN NULL
               WHEN b.first_amount - p.first_waived <= 0 THEN FALSE
               WHEN $share = 0 THEN p.first_cash = 0
               ELSE p.first_credit::HUGEINT * 1000000 < $share::HUGEINT * b.first_amount - $tolerance::HUGEINT * 1000000
           END AS missed,
           CASE
               WHEN NOT disbursed_by_now OR b.disbursed <= $as_of - $frr_days THEN 0
               ELSE greatest(0, CASE WHEN b.has_fee THEN b.fee_fallen_due ELSE b.fee_amount END - p.waived_fees)
           END AS frr_due
    FROM book b
    JOIN balances p USING (loan)
    JOIN aged s ON s.loan = b.loan AND s.stock = 'now'
    LEFT JOIN unsettled u ON u.loan = b.loan
),
roll AS (
    SELECT loan, outstanding AS prev_balance
    FROM aged
    WHERE stock = 'back' AND on_book AND dpd BETWEEN 1 AND 6
),
punctual AS (
    SELECT d.loan, d.number, d.due,
           d.cum_due - coalesce(sum(r.credit) FILTER (WHERE r.counts AND r.day <= d.due), 0) <= $tolerance AS on_time
    FROM dues d
    JOIN state s USING (loan)
    LEFT JOIN receipts r USING (loan)
    WHERE s.disbursed_by_now AND d.due > $as_of - $flow_days AND d.due <= $as_of
      AND (s.closing IS NULL OR d.due <= s.closing OR s.reopened)
    GROUP BY d.loan, d.number, d.due, d.cum_due
),
used_channels AS (
    SELECT DISTINCT name
    FROM loans JOIN channels USING (channel)
    WHERE disbursed <= $as_of
),
pure AS (
    FROM used_channels WHERE list_contains($pure_channels::VARCHAR[], name)
),
reference AS (  -- one row per cell and channel that is pure for its officer
    SELECT c.cell, coalesce(o.primary_channel, p.name) AS name
    FROM cells c
    LEFT JOIN (
        SELECT officer_id, primary_channel FROM officers WHERE primary_channel IN (SELECT name FROM used_channels)
    ) o USING (officer_id)
    LEFT JOIN pure p ON o.officer_id IS NULL
    WHERE coalesce(o.primary_channel, p.name) IS NOT NULL
),

-- ------------------------------------------------------------------------------------------- sums per cell
state_sums AS (
    SELECT cell,
           sum(outstanding) FILTER (WHERE on_book) AS total_portfolio,
           sum(principal_left) FILTER (WHERE on_book) AS principal_portfolio,
           count(*) FILTER (WHERE on_book) AS active_loans,
           count(*) FILTER (WHERE disbursed_by_now) AS total_disbursed_count,
           sum(l.amount) FILTER (WHERE disbursed_by_now) AS total_disbursed_amount,
           sum(outstanding) FILTER (WHERE dpd > 15) AS overdue_15d_amount,
           count(*) FILTER (WHERE dpd > 15) AS overdue_15d_count,
           sum(principal_left) FILTER (WHERE dpd > 1) AS par1_principal,
           sum(principal_left) FILTER (WHERE dpd > 7) AS par7_principal,
           sum(principal_left) FILTER (WHERE dpd > 15) AS par15_principal,
           sum(principal_left) FILTER (WHERE dpd > 30) AS par30_principal,
           sum(principal_left) FILTER (WHERE dpd > 60) AS par60_principal,
           sum(principal_left) FILTER (WHERE dpd > 90) AS par90_principal,
           count(*) FILTER (WHERE in_cohort AND missed) AS first_miss_count,
           count(*) FILTER (WHERE in_cohort AND missed IS NOT NULL) AS disbursed_count,
           count(*) FILTER (WHERE missed) AS all_time_first_miss_count,
           count(*) FILTER (WHERE missed IS NOT NULL) AS all_time_decided_count,
           sum(outstanding) FILTER (WHERE dpd BETWEEN 1 AND 6) AS dpd_1to6_balance,
           sum(due_soon) AS amount_due_7d,
           sum(r.prev_balance) AS prev_dpd_1to6_balance,
           sum(r.prev_balance) FILTER (WHERE dpd BETWEEN 7 AND 30) AS moved_to_7to30,
           sum(frr_due) AS fees_due,
           sum(least(paid_fees, frr_due)) AS fees_collected,
           sum($as_of - l.disbursed) FILTER (WHERE on_book) AS loan_age_days,
           sum($as_of - greatest(l.disbursed, coalesce(last_cash_day, l.disbursed)))
               FILTER (WHERE on_book) AS days_since_repayment,
           count(*) FILTER (WHERE on_book OR in_cohort) AS live_loans
    FROM state
    JOIN loans l USING (loan, cell)
    LEFT JOIN roll r USING (loan)
    GROUP BY cell
),
flow_sums AS (  -- rows alone: the loan need be neither disbursed nor on the book
    SELECT cell,
           sum(interest) FILTER (WHERE counts AND day >= month_start) AS split_interest,
           sum(fees) FILTER (WHERE counts AND day >= month_start) AS split_fees,
           sum(interest + fees) FILTER (WHERE counts AND day > now - $flow_days) AS split_yield,
           sum(waived_interest + waived_fees + waived_principal)
               FILTER (WHERE counts AND day > now - $waiver_days) AS waivers_amount,
           count(*) FILTER (WHERE day > now - $flow_days AND day <= now) AS total_entries,
           count(*) FILTER (WHERE backdated AND day > now - $flow_days AND day <= now) AS backdated_count,
           count(*) FILTER (
               WHERE reversed AND coalesce(reversal, day) > now - $flow_days AND coalesce(reversal, day) <= now
                 AND day <= now
           ) AS reversals_count
    FROM receipts, days
    GROUP BY cell
),
placed_flows AS (
    SELECT cell,
           sum(got_interest) FILTER (WHERE day >= month_start) AS placed_interest,
           sum(got_fee) FILTER (WHERE day >= month_start) AS placed_fees,
           sum(got_interest + got_fee) FILTER (WHERE day > now - $flow_days) AS placed_yield
    FROM placed
    JOIN book USING (loan), days
    WHERE nth > 0
    GROUP BY cell
),
late_cash AS (
    SELECT cell, count(*) AS float_gap_count
    FROM repayments r
    JOIN methods m USING (method)
    JOIN loans USING (loan)
    WHERE list_contains($cash_methods::VARCHAR[], m.name)
      AND r.amount > 0
      AND r.day > $as_of - $float_gap_window_days
      AND r.day <= $as_of
      AND NOT (r.reversed AND (r.reversal IS NULL OR r.reversal <= $as_of))
      AND (r.created AT TIME ZONE $time_zone)::DATE - DATE '1970-01-01' - r.day > $float_gap_days
    GROUP BY cell
),
punctual_sums AS (
    SELECT cell, count(*) AS due_installments, count(*) FILTER (WHERE on_time) AS on_time_installments
    FROM punctual JOIN book USING (loan)
    GROUP BY cell
),
channel_sums AS (
    SELECT b.cell, count(*) AS channel_known_count, count(r.name) AS pure_channel_count
    FROM state b
    LEFT JOIN channels c USING (channel)
    LEFT JOIN reference r ON r.cell = b.cell AND r.name = c.name
    WHERE b.in_cohort AND b.cell IN (SELECT cell FROM reference)
    GROUP BY b.cell
),
mid_sums AS (  -- the frozen set of that 15th, whole, if there is one
    SELECT officer_id, region, branch, exposure
    FROM par15
    WHERE snapshot_day = (SELECT mid FROM days)
    UNION ALL
    SELECT c.officer_id, c.region, c.branch, sum(a.outstanding)
    FROM aged a
    JOIN book b USING (loan)
    JOIN cells c USING (cell)
    WHERE a.stock = 'mid' AND a.dpd > 15
    GROUP BY ALL
),
mid_cells AS (
    SELECT officer_id, region, branch, sum(exposure) AS par15_mid_month
    FROM mid_sums
    GROUP BY ALL
),
loan_cells AS (
    FROM cells
    JOIN state_sums USING (cell)
    LEFT JOIN punctual_sums USING (cell)
    LEFT JOIN flow_sums USING (cell)
    LEFT JOIN placed_flows USING (cell)
    LEFT JOIN late_cash USING (cell)
    LEFT JOIN channel_sums USING (cell)
),
cell_measures AS (
    SELECT officer_id, region, branch,
           coalesce(total_portfolio, 0)::BIGINT AS total_portfolio,
           coalesce(principal_portfolio, 0)::BIGINT AS principal_portfolio,
           coalesce(active_loans, 0)::BIGINT AS active_loans,
           coalesce(total_disbursed_count, 0)::BIGINT AS total_disbursed_count,
           coalesce(total_disbursed_amount, 0)::BIGINT AS total_disbursed_amount,
           coalesce(overdue_15d_amount, 0)::BIGINT AS overdue_15d_amount,
           coalesce(overdue_15d_count, 0)::BIGINT AS overdue_15d_count,
           coalesce(par1_principal, 0)::BIGINT AS par1_principal,
           coalesce(par7_principal, 0)::BIGINT AS par7_principal,
           coalesce(par15_principal, 0)::BIGINT AS par15_principal,
           coalesce(par30_principal, 0)::BIGINT AS par30_principal,
           coalesce(par60_principal, 0)::BIGINT AS par60_principal,
           coalesce(par90_principal, 0)::BIGINT AS par90_principal,
           coalesce(first_miss_count, 0)::BIGINT AS first_miss_count,
           coalesce(disbursed_count, 0)::BIGINT AS disbursed_count,
           coalesce(all_time_first_miss_count, 0)::BIGINT AS all_time_first_miss_count,
           coalesce(all_time_decided_count, 0)::BIGINT AS all_time_decided_count,
           coalesce(dpd_1to6_balance, 0)::BIGINT AS dpd_1to6_balance,
           coalesce(amount_due_7d, 0)::BIGINT AS amount_due_7d,
           coalesce(prev_dpd_1to6_balance, 0)::BIGINT AS prev_dpd_1to6_balance,
           coalesce(moved_to_7to30, 0)::BIGINT AS moved_to_7to30,
           coalesce(fees_due, 0)::BIGINT AS fees_due,
           coalesce(fees_collected, 0)::BIGINT AS fees_collected,
           (coalesce(split_interest, 0) + coalesce(placed_interest, 0))::BIGINT AS interest_collected,
           (coalesce(split_fees, 0) + coalesce(placed_fees, 0))::BIGINT AS total_fees_collected,
           (coalesce(split_yield, 0) + coalesce(placed_yield, 0))::BIGINT AS yield_30d,
           coalesce(par15_mid_month, 0)::BIGINT AS par15_mid_month,
           coalesce(due_installments, 0)::BIGINT AS due_installments,
           coalesce(on_time_installments, 0)::BIGINT AS on_time_installments,
           coalesce(channel_known_count, 0)::BIGINT AS channel_known_count,
           coalesce(pure_channel_count, 0)::BIGINT AS pure_channel_count,
           coalesce(waivers_amount, 0)::BIGINT AS waivers_amount,
           coalesce(total_entries, 0)::BIGINT AS total_entries,
           coalesce(backdated_count, 0)::BIGINT AS backdated_count,
           coalesce(reversals_count, 0)::BIGINT AS reversals_count,
           coalesce(float_gap_count, 0)::BIGINT AS float_gap_count,
           coalesce(loan_age_days, 0)::BIGINT AS loan_age_days,
           coalesce(days_since_repayment, 0)::BIGINT AS days_since_repayment,
           coalesce(live_loans > 0, FALSE)::BIGINT AS total_officers,
           coalesce(live_loans > 0 AND float_gap_count > 0, FALSE)::BIGINT AS float_gap_officers
    FROM loan_cells
    FULL JOIN mid_cells USING (officer_id, region, branch)
),

-- ------------------------------------------------------------------------------------------- rows per loan
max_dpd AS (
    SELECT loan, max(dpd) AS max_dpd_ever
    FROM aged
    WHERE stock = 'ever'
    GROUP BY loan
),
loan_rows AS (
    SELECT s.loan_id,
           DATE '1970-01-01' + s.disbursed AS disbursement_date,
           CASE WHEN i.loan IS NULL THEN 'schedule' ELSE 'implied' END AS schedule_source,
           s.on_book,
           CASE
               WHEN s.on_book THEN NULL
               WHEN s.written_off AND s.closed THEN 'written_off'
               ELSE 'paid'
           END AS closed_as,
           s.dpd::INTEGER AS current_dpd,
           CASE
               WHEN s.dpd = 0 THEN '0'
               WHEN s.dpd <= 6 THEN '1-6'
               WHEN s.dpd <= 30 THEN '7-30'
               WHEN s.dpd <= 60 THEN '31-60'
               WHEN s.dpd <= 90 THEN '61-90'
               ELSE '90+'
           END AS dpd_bucket,
           coalesce(m.max_dpd_ever, 0)::INTEGER AS max_dpd_ever,
           s.missed AS first_payment_missed,
           DATE '1970-01-01' + s.first_due AS first_payment_due_date,
           DATE '1970-01-01' + s.first_cash_day AS first_payment_received_date,
           DATE '1970-01-01' + s.last_cash_day AS last_payment_date,
           CASE WHEN s.on_book THEN DATE '1970-01-01' + s.next_due END AS next_payment_due,
           s.principal_left::BIGINT AS principal_outstanding,
           s.interest_left::BIGINT AS interest_outstanding,
           s.fees_left::BIGINT AS fees_outstanding,
           s.outstanding::BIGINT AS total_outstanding,
           s.arrears::BIGINT AS arrears_amount,
           greatest(0, s.credit - s.total_due)::BIGINT AS overpaid,
           s.paid_principal::BIGINT AS total_principal_paid,
           s.paid_interest::BIGINT AS total_interest_paid,
           s.paid_fees::BIGINT AS total_fees_paid,
           coalesce(s.missed, FALSE) AS fimr_tagged,
           s.dpd BETWEEN 1 AND 6 AS early_indicator_tagged
    FROM state s
    LEFT JOIN implied i USING (loan)
    LEFT JOIN max_dpd m USING (loan)
    WHERE s.disbursed_by_now
)
