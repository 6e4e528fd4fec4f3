-- The change log tells of the transactions of the server that wrote it. Kept, it would be of no use to another one, and
-- every run would read everything until that server has counted as far. Forgotten, the first run reads everything, and
-- the next only what changed.
DELETE FROM change_readers;
DELETE FROM change_log;
UPDATE change_horizon SET xid = '0';
