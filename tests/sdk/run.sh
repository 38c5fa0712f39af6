#!/usr/bin/env bash
# Runs the official Python and Node SDKs, unmodified, against a daemon started for the occasion.
#
#   tests/sdk/run.sh BINARY        for instance target/release/florin
#
# FLORIN_SDK_CACHE   where the virtual environment and the Node modules are kept (default target/sdk)
# FLORIN_OPENAPI     an OpenAPI document that all answers are checked against (optional)
#
# Exit code: 0 all passed, 1 a suite failed, 2 the run could not begin.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

say() { printf '== %s\n' "$*"; }
give_up() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 2
}

[ $# -eq 1 ] || give_up "usage: tests/sdk/run.sh BINARY"
[ -x "$1" ] || give_up "$1 is no executable file; build it first, for instance: cargo build --release"
binary=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
for tool in python3 node npm; do
    command -v "$tool" >/dev/null || give_up "$tool is needed and not found"
done

cache=${FLORIN_SDK_CACHE:-$root/target/sdk}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# --- the SDKs, fetched once per pinned version ----------------------------------------------------

venv=$cache/venv
if ! cmp -s "$here/python/requirements.txt" "$venv/requirements.txt"; then
    say "preparing Python in $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
    cp "$here/python/requirements.txt" "$venv/requirements.txt"
fi

# Node looks for modules beside the files that import them, so the suite runs from a copy in the cache.
suite=$cache/node
mkdir -p "$suite"
rm -rf "$suite/test"
cp -R "$here/node/test" "$here/node/support.mjs" "$here/node/package.json" "$here/node/.npmrc" "$suite/"
if ! cmp -s "$here/node/package-lock.json" "$suite/installed-lock.json"; then
    say "preparing Node in $suite"
    cp "$here/node/package-lock.json" "$suite/"
    (cd "$suite" && npm ci --silent --no-audit --no-fund)
    cp "$here/node/package-lock.json" "$suite/installed-lock.json"
fi

# --- the daemon -----------------------------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/florin-sdk.XXXXXX")
daemon=
failed=0

# Stops the daemon with TERM; after 20 seconds it is killed, which counts as a failure.
stop_daemon() {
    [ -n "$daemon" ] || return 0
    local pid=$daemon code=0
    daemon=
    if ! kill -TERM "$pid" 2>/dev/null; then
        wait "$pid" || code=$?
        say "the daemon had already ended, exit code $code"
        failed=1
        return 0
    fi
    for _ in $(seq 200); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" || code=$?
    # 143: ended by TERM itself.
    if [ "$code" -ne 0 ] && [ "$code" -ne 143 ]; then
        say "the daemon did not stop cleanly, exit code $code"
        failed=1
    fi
}

finish() {
    local code=$?
    trap - EXIT
    stop_daemon
    [ "$code" -ne 0 ] || code=$failed
    if [ "$code" -ne 0 ] && [ -f "$work/daemon.log" ]; then
        say "the daemon's log (last 500 lines)"
        tail -n 500 "$work/daemon.log"
    fi
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export FLORIN_TEST_KEY=sk_test_florin_sdk
"$binary" serve --listen 127.0.0.1:0 --data "$work/data" --config "$here/florin.toml" \
    >"$work/daemon.log" 2>&1 &
daemon=$!

FLORIN_URL=
for _ in $(seq 300); do
    FLORIN_URL=$(grep -Eo 'http://127\.0\.0\.1:[0-9]+' "$work/daemon.log" 2>/dev/null | head -n 1 || true)
    [ -z "$FLORIN_URL" ] || break
    kill -0 "$daemon" 2>/dev/null || give_up "the daemon ended before it listened"
    sleep 0.1
done
[ -n "$FLORIN_URL" ] || give_up "the daemon announced no address within 30 seconds"
FLORIN_PUBLISHABLE_KEY=$(grep -Eo 'pk_test_[0-9a-f]+' "$work/daemon.log" | head -n 1)
export FLORIN_URL FLORIN_PUBLISHABLE_KEY
say "Florin listens on $FLORIN_URL"

# --- the suites -----------------------------------------------------------------------------------

export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
export PYTHONDONTWRITEBYTECODE=1

# Node first: the Python suite ends by setting the platform's clock forward.
say "Node SDK"
node_code=0
(cd "$suite" && node --test --test-concurrency=1 test/*.test.mjs) 2>&1 | tee "$work/node.log" || node_code=$?

say "Python SDK"
python_code=0
(cd "$here/python" && "$venv/bin/python" -m pytest) 2>&1 | tee "$work/python.log" || python_code=$?

say "result"
node_summary=$(sed -nE 's/^(ℹ|#) ((tests|pass|fail|cancelled|skipped) [0-9]+)$/\2/p' "$work/node.log" | paste -sd ' ' -)
printf 'node:   %s\n' "$node_summary"
printf 'python: %s\n' "$(tail -n 1 "$work/python.log")"
grep -E '^(operations covered|violations of either):' "$work/python.log" || true
[ "$node_code" -eq 0 ] && [ "$python_code" -eq 0 ] || failed=1
stop_daemon
exit "$failed"
