#!/usr/bin/env python3
"""How long a start takes, and what an idle million of accounts costs: the recovery figures of docs/architecture.md.

    bench/start.py [--accounts 1000000] [--seconds 75] [--data DIR]

Opens accounts over HTTP, waits for a snapshot, makes charges for some time (10,000 busy sellers), kills the daemon with
-9, then starts it three ways: with the snapshot, without it (whole journal), and `florin replay`. Prints times from exec
to the line that says where it listens, entries, memory and disk. Run it on a quiet machine, release build.
"""
import argparse, os, shutil, signal, subprocess, sys, tempfile, time

from daemon import FLORIN, cpu, disk, load, memory, serve


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
