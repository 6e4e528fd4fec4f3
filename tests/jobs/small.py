"""A book small enough to reason about: three officers, five loans of three installments each."""

from datetime import date

DAY = date(2026, 3, 16)
SMALL_BOOK = """
INSERT INTO officers (officer_id, officer_name, region, branch) VALUES
    ('O1', 'Ada', 'West', 'Ikeja'), ('O2', 'Obi', 'West', 'Yaba'), ('O3', 'Zainab', 'North', 'Kano');
INSERT INTO loans (loan_id, officer_id, region, branch, loan_amount, disbursement_date, status)
SELECT 'L' || n, CASE WHEN n < 4 THEN 'O1' ELSE 'O2' END, 'West', CASE WHEN n < 4 THEN 'Ikeja' ELSE 'Yaba' END,
    900, DATE '2026-02-01' + n, 'Active'
FROM generate_series(1, 5) AS n;
INSERT INTO loan_schedule (loan_id, installment_number, due_date, principal_due, total_due)
SELECT 'L' || n, k, DATE '2026-02-22' + 7 * k, 300, 300
FROM generate_series(1, 5) AS n, generate_series(1, 3) AS k;
INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid, payment_method)
SELECT 'R' || n, 'L' || n, DATE '2026-03-01', 100 * n, 100 * n, 'Transfer'
FROM generate_series(2, 5) AS n;
"""
