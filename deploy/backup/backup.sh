#!/bin/sh
# backup.sh FOLDER: one whole backup in FOLDER/<time>, readable by its owner only. Runs may go on meanwhile.
#
# Environment: LOANMETRICS_DATABASE_URL of the owner (pg_dump must be no older than the server), LOANMETRICS_HOME.
# Signing keys are left out on purpose: who has a backup must not be able to make tokens.
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
facts=${LOANMETRICS_FACTS_DIR:-$LOANMETRICS_HOME/facts}
made=$1/$(date -u +%Y%m%dT%H%M%SZ)
mkdir -p "$1"
mkdir "$made.partial"
trap 'rm -rf "$made.partial"' EXIT
cd "$made.partial"

# A chain that is broken already is no backup worth keeping. Its end, noted down here, outlives the database.
loanmetrics audit verify > chain
pg_dump --format=custom --file=database --dbname="$LOANMETRICS_DATABASE_URL"
# After the database: facts are never changed, so all that the database names are still there.
lake=$(psql -XAtq -f "$here/lake.sql" "$LOANMETRICS_DATABASE_URL")
mkdir -p "$facts/$lake"
tar -C "$facts/$lake" --exclude=./days --exclude='./work-*' -cf facts .
sha256sum chain database facts > checksums

cd /
mv "$made.partial" "$made"
trap - EXIT
echo "$made"
