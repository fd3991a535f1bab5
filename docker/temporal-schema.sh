#!/bin/sh
# Makes or updates Temporal's two schemas; run again, it changes nothing. The password goes by the environment of
# temporal-sql-tool (SQL_PASSWORD), and everything else does too: compose.yaml sets SQL_*.
set -eu
SQL_PASSWORD=$(cat /run/secrets/temporal_password)
export SQL_PASSWORD

for pair in temporal:temporal temporal_visibility:visibility; do
    export SQL_DATABASE="${pair%%:*}"
    temporal-sql-tool create-database
    temporal-sql-tool setup-schema --version 0.0
    temporal-sql-tool update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/${pair##*:}/versioned"
done
