#!/usr/bin/env bash
# Florin against a hand-written PostgreSQL ledger, in turn, on this machine: medians of ROUNDS, and ratios.
#
#   bench/speed.sh PATH_TO_POSTGRES_BASELINE [ROUNDS] [SECONDS]
#
# The baseline folder holds schema.sql, charge.pgbench, check.sql and bench.sh. Needs PostgreSQL 15 (Debian: postgresql).
# Both run at normal priority unless NICE says otherwise; the load generators share the machine's cores with the servers.
set -euo pipefail
cd "$(dirname "$0")/.."
baseline=$(realpath "${1:?the folder with the PostgreSQL baseline}") rounds=${2:-5} seconds=${3:-20}
work=$(mktemp -d); pgbin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
port=54329; florin=target/release/florin
trap 'kill $(jobs -p) 2>/dev/null || true; [[ -d $work/pg ]] && as_pg "$pgbin/pg_ctl" -D "$work/pg" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
as_pg() { if [[ $(id -u) == 0 ]]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }

[[ -x $florin ]] || cargo build --release --locked
chmod 755 "$work"; mkdir "$work/pg"; [[ $(id -u) == 0 ]] && chown postgres: "$work/pg"
as_pg "$pgbin/initdb" -D "$work/pg" -A trust -U postgres >/dev/null
cat >>"$work/pg/postgresql.conf" <<CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 2GB
max_connections = 200
fsync = on
synchronous_commit = on
full_page_writes = on
CONF
as_pg "$pgbin/pg_ctl" -D "$work/pg" -w -l "$work/pg/log" start >/dev/null
export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres PGDATABASE=postgres

reset_pg() { psql -q -f "$baseline/schema.sql" >/dev/null 2>&1; }
pg() { reset_pg; "$baseline/bench.sh" "$baseline/charge.pgbench" "$1" 1 "$seconds" | sed -n 's/.*charges\/s=\([0-9]*\).*p99=\([0-9.]*\)ms.*/\1 \2/p'; }

serve() {
  FLORIN_TEST_KEY=sk_test_florin_speed "$florin" serve --listen 127.0.0.1:0 --data "$work/florin" >"$work/out" 2>"$work/err" &
  daemon=$!
  for _ in $(seq 100); do url=$(sed -n 's/.*\(http:\/\/127.0.0.1:[0-9]*\).*/\1/p' "$work/out" | head -1); [[ -n $url ]] && return; sleep 0.1; done
  cat "$work/err"; exit 1
}
cpu_ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
florin_run() {
  rm -rf "$work/florin"; serve
  local before; before=$(cpu_ticks "$daemon")
  "$florin" load "$url" simulations/durable_charges.toml --key sk_test_florin_speed --connections "$1" --rate max --duration "$seconds" --json >"$work/load.json"
  local after; after=$(cpu_ticks "$daemon")
  kill -TERM "$daemon"; wait "$daemon" || true
  python3 - "$work/load.json" "$before" "$after" <<'PY'
import json, os, sys
report = json.load(open(sys.argv[1])); ticks = int(sys.argv[3]) - int(sys.argv[2])
# The daemon's CPU includes opening 10,000 accounts and 10,000 customers: they count as requests here.
cpu = ticks / os.sysconf("SC_CLK_TCK") * 1e6 / max(1, report["counts"]["attempted"] + 20_000)
print(round(report["throughput"]), report["latency"]["p99_us"] / 1000, round(cpu, 1), round(report["client"]["cpu_s"], 2))
PY
}
median() { sort -n | awk '{v[NR]=$1} END{print v[int((NR+1)/2)]}'; }

for round in $(seq "$rounds"); do
  for clients in 64 16 1; do
    read -r rate p99 <<<"$(pg $clients)"; echo "postgres clients=$clients charges/s=$rate p99_ms=$p99" | tee -a "$work/all"
  done
  # 64 connections every round; 16 and 1 for the picture, once.
  for connections in 64 $([[ $round == 1 ]] && echo 16 1); do
    read -r rate p99 cpu gen <<<"$(florin_run $connections)"
    echo "florin connections=$connections charges/s=$rate p99_ms=$p99 cpu_us_per_request=$cpu generator_cpu_s=$gen" | tee -a "$work/all"
  done
done
echo; echo "medians of $rounds rounds of $seconds s:"
for what in "postgres clients=64" "postgres clients=16" "postgres clients=1" "florin connections=64" "florin connections=16" "florin connections=1"; do
  echo "  $what  $(grep "^$what " "$work/all" | sed 's/.*charges\/s=\([0-9]*\).*/\1/' | median) charges/s"
done
