#!/usr/bin/env bash
# Holds a real Redis 5.0.x against the model for SECONDS (default 60), then a real 7.0, which must be found to deviate.
# TALLY_REDIS5 and TALLY_REDIS7 name the servers' programs.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
# A constant: what a merge must pass does not depend on luck; give another one to explore.
seed=${2:-1}
cargo build -q --release
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$folder"' EXIT

start() { # program socket
    mkdir -p "$folder/$2.d"
    "$1" --port 0 --unixsocket "$folder/$2" --save '' --dir "$folder/$2.d" --enable-debug-command yes >"$folder/$2.log" 2>&1 ||
        "$1" --port 0 --unixsocket "$folder/$2" --save '' --dir "$folder/$2.d" >"$folder/$2.log" 2>&1
}

serve() { # program socket: waits until it answers
    start "$1" "$2" &
    pids+=($!)
    for _ in $(seq 100); do
        redis-cli -s "$folder/$2" ping >/dev/null 2>&1 && return
        sleep 0.1
    done
    cat "$folder/$2.log"
    return 1
}

serve "${TALLY_REDIS5:?names no Redis 5.0.x}" five
target/release/tally check "unix://$folder/five" --flush --seconds "$seconds" --seed "$seed"

serve "${TALLY_REDIS7:-redis-server}" seven
status=0
target/release/tally check "unix://$folder/seven" --seconds "$seconds" --seed 7 --report "$folder/seven.json" || status=$?
[ "$status" = 1 ] || { echo "a Redis 7.0 under the 5.0 profile should deviate (exit 1), got $status"; exit 1; }
