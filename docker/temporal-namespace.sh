#!/bin/sh
# Waits for Temporal to say that it serves, and makes the namespace where it is missing.
set -eu
left=60
until temporal operator cluster health; do
    left=$((left - 1))
    if [ "$left" -eq 0 ]; then
        echo "temporal-namespace: $TEMPORAL_ADDRESS does not serve" >&2
        exit 1
    fi
    sleep 2
done
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 168h
