#!/usr/bin/env python3
"""How long a start takes, and what an idle million of accounts costs: the recovery figures of docs/architecture.md.

    bench/start.py [--accounts 1000000] [--seconds 75] [--data DIR]

Opens accounts over HTTP, waits for a snapshot, makes charges for some time (10,000 busy sellers), kills the daemon with
-9, then starts it three ways: with the snapshot, without it (whole journal), and `florin replay`. Prints times from exec
to the line that says where it listens, entries, memory and disk. Run it on a quiet machine, release build.
"""
import argparse, json, os, re, shutil, signal, subprocess, sys, tempfile, time

FLORIN = "target/release/florin"
KEY = "sk_test_florin_start"


def serve(data, snapshot_seconds):
    with open(os.path.join(data, "..", "start.toml"), "w") as config:
        config.write(f"snapshot_seconds = {snapshot_seconds}\n")
        path = config.name
    env = dict(os.environ, FLORIN_TEST_KEY=KEY)
    began = time.monotonic()
    daemon = subprocess.Popen([FLORIN, "serve", "--listen", "127.0.0.1:0", "--data", data, "--config", path],
                              stdout=subprocess.PIPE, env=env, text=True)
    url = re.search(r"http://\S+", daemon.stdout.readline()).group(0)
    return daemon, url, time.monotonic() - began


def load(url, scenario, *more):
    out = subprocess.run([FLORIN, "load", url, f"simulations/{scenario}.toml", "--key", KEY, "--rate", "max", "--json", *more],
                         stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(out.stdout)


def memory(daemon):
    text = open(f"/proc/{daemon.pid}/status").read()
    return {key: int(re.search(rf"{key}:\s+(\d+)", text).group(1)) // 1024 for key in ("VmRSS", "VmHWM")}


def cpu(daemon):
    fields = open(f"/proc/{daemon.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk(data):
    sizes = {}
    for folder in sorted(os.listdir(data)):
        total = 0
        for root, _, files in os.walk(os.path.join(data, folder)):
            total += sum(os.stat(os.path.join(root, f)).st_blocks * 512 for f in files)
        sizes[folder] = total
    sizes["spare segment"] = os.path.getsize(os.path.join(data, "journal", "next.tmp")) if os.path.exists(
        os.path.join(data, "journal", "next.tmp")) else 0
    return sizes


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--accounts", type=int, default=1_000_000)
    args.add_argument("--seconds", type=int, default=75)
    args.add_argument("--data")
    args = args.parse_args()
    work = args.data or tempfile.mkdtemp(prefix="florin-start-")
    data = os.path.join(work, "data")
    os.makedirs(data, exist_ok=True)
    try:
        daemon, url, _ = serve(data, 15)
        load(url, "million_accounts", "--scale", str(args.accounts / 1_000_000))
        print(f"{args.accounts} accounts: memory MiB {memory(daemon)}", flush=True)
        # Two rounds: one may have begun while accounts were still being opened.
        manifests = [os.path.join(data, "snapshots", half, "manifest") for half in "ab"]
        since = time.time()
        while not any(os.path.exists(m) and os.path.getmtime(m) > since + 1 for m in manifests):
            time.sleep(1)
            if time.time() - since > 240:
                sys.exit("no snapshot within four minutes")
        daemon.send_signal(signal.SIGINT)
        daemon.wait()

        # Loads the snapshot, writes none: what follows is behind it.
        daemon, url, seconds = serve(data, 10_000_000)
        print(f"start with the snapshot, nothing since: {seconds:.2f} s, memory MiB {memory(daemon)}", flush=True)
        report = load(url, "durable_charges", "--connections", "64", "--duration", str(args.seconds))
        made = report["counts"]["succeeded"]
        print(f"{made} charges since: memory MiB {memory(daemon)}", flush=True)
        daemon.kill()
        daemon.wait()

        daemon, url, seconds = serve(data, 10_000_000)
        print(f"start with a snapshot, {args.accounts} accounts, {made} charges since (and their set-up): {seconds:.2f} s, "
              f"CPU {cpu(daemon):.2f} s, memory MiB {memory(daemon)}", flush=True)
        daemon.kill()
        daemon.wait()

        daemon, url, seconds = serve(data, 0)
        entries = made + 20_000 + args.accounts
        print(f"start by replay of the whole journal, {entries} entries: {seconds:.2f} s, {entries / seconds:.0f}/s, "
              f"memory MiB {memory(daemon)}", flush=True)
        daemon.send_signal(signal.SIGINT)
        daemon.wait()
        print("disk:", {name: f"{size / 2**20:.0f} MiB" for name, size in disk(data).items()}, flush=True)
        subprocess.run([FLORIN, "replay", data], check=True)
    finally:
        if not args.data:
            shutil.rmtree(work, ignore_errors=True)


main()
