#!/bin/sh
# Write the files that compose.yaml mounts: passwords that are missing are made, those that exist are kept.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
for name in owner writer api redis; do
    [ -s "secrets/$name" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "secrets/$name"
done
url() { # role password
    echo "database_url = \"postgresql://$1:$2@postgres/loans\""
}
redis="redis_url = \"redis://:$(cat secrets/redis)@redis:6379/0\""
url loanmetrics_owner "$(cat secrets/owner)" > secrets/owner.toml
{ url risk_worker "$(cat secrets/writer)"; echo "$redis"; } > secrets/worker.toml
# Of the private networks only the proxy reaches the API.
proxies='proxies = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]'
{ url risk_api "$(cat secrets/api)"; echo "$redis"; echo "$proxies"; } > secrets/api.toml
printf '[owner]\nhost=postgres\ndbname=loans\nuser=loanmetrics_owner\npassword=%s\n' "$(cat secrets/owner)" \
    > secrets/pg_service.conf
printf 'requirepass %s\nsave ""\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy volatile-lru\n' "$(cat secrets/redis)" \
    > secrets/redis.conf
cat > secrets/logins.sql <<SQL
SET password_encryption = 'scram-sha-256';
DO \$\$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'risk_worker') THEN CREATE ROLE risk_worker; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'risk_api') THEN CREATE ROLE risk_api; END IF;
END
\$\$;
ALTER ROLE risk_worker LOGIN PASSWORD '$(cat secrets/writer)';
ALTER ROLE risk_api LOGIN PASSWORD '$(cat secrets/api)';
GRANT loanmetrics_writer TO risk_worker;
GRANT loanmetrics_api TO risk_api;
SQL
# The containers' user reads them; the folder keeps others out.
chmod 700 secrets
chmod 644 secrets/*
