#!/bin/sh
# restore.sh BACKUP: bring a backup back into an empty database and a home without facts of it.
#
# Environment: LOANMETRICS_DATABASE_URL of the owner of the empty database, LOANMETRICS_HOME. Afterwards: roles.sql, then
# `loanmetrics compute`, which reads everything once. A restore that failed has changed nothing but may leave a folder of
# facts; make the database anew and begin again.
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
facts=${LOANMETRICS_FACTS_DIR:-$LOANMETRICS_HOME/facts}
cd "$1"
sha256sum --quiet --check checksums

pg_restore --single-transaction --exit-on-error --no-owner --no-privileges --dbname="$LOANMETRICS_DATABASE_URL" database
psql -Xq -1 -v ON_ERROR_STOP=1 -f "$here/after-restore.sql" "$LOANMETRICS_DATABASE_URL"
lake=$facts/$(psql -XAtq -f "$here/lake.sql" "$LOANMETRICS_DATABASE_URL")
mkdir -p "$facts"
mkdir "$lake"
tar -C "$lake" -xf facts

loanmetrics migrate
loanmetrics audit verify --head "$(sed -n 's/^it ends at //p' chain)"
