-- depends: 0005.restatements

ALTER TABLE restatements ADD COLUMN causes jsonb;
