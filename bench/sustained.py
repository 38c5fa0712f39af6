#!/usr/bin/env python3
"""A minute of durable destination charges at full speed, several times: rate, latency, CPU per charge, the object store's
lag, and whether lists and balances are right at the end.

    bench/sustained.py [--rounds 5] [--seconds 60] [--connections 64]

Each round is a fresh daemon with 10,000 sellers and 10,000 customers. Run it on a quiet machine, release build.
"""
import argparse, os, random, re, shutil, signal, statistics, subprocess, sys, tempfile, threading, urllib.request

from daemon import FLORIN, cpu, disk, get, load, memory, serve


def watch(url, lags, stop):
    """Samples every 100 ms for how long the oldest entry that the store lacks has been durable."""
    while not stop.wait(0.1):
        text = urllib.request.urlopen(url + "/metrics", timeout=30).read().decode()
        lags.append(float(re.search(r"^florin_projection_lag_seconds (\S+)", text, re.M).group(1)))


def pages(url, path, account=None):
    """Every object of a list, newest first."""
    after = ""
    while True:
        page = get(url, f"{path}?limit=100{after}", account)
        yield from page["data"]
        if not page["has_more"]:
            return
        after = f"&starting_after={page['data'][-1]['id']}"


def check(url, made):
    """Every charge is listed once, and sampled sellers' balances are the sums of their balance transactions."""
    seen, sellers = set(), set()
    for charge in pages(url, "/v1/charges"):
        seen.add(charge["id"])
        sellers.add(charge["transfer_data"]["destination"])
    assert len(seen) >= made, f"{len(seen)} charges listed, {made} acknowledged"
    for seller in random.Random(1).sample(sorted(sellers), min(100, len(sellers))):
        net = sum(row["net"] for row in pages(url, "/v1/balance_transactions", seller))
        balance = get(url, "/v1/balance", seller)
        shown = sum(part["amount"] for kind in ("available", "pending") for part in balance[kind])
        assert net == shown, f"{seller}: rows {net}, balance {shown}"
    assert get(url, "/florin/trial_balance")["balanced"]
    return len(seen)


def one(seconds, connections):
    work = tempfile.mkdtemp(prefix="florin-sustained-")
    data = os.path.join(work, "data")
    os.makedirs(data)
    daemon, url, _ = serve(data)
    try:
        lags, stop = [], threading.Event()
        watcher = threading.Thread(target=watch, args=(url, lags, stop))
        watcher.start()
        before = cpu(daemon)
        report = load(url, "durable_charges", "--connections", str(connections), "--duration", str(seconds))
        spent = cpu(daemon) - before
        stop.set()
        watcher.join()
        made = report["counts"]["succeeded"]
        # Opening 10,000 sellers and as many customers is in the daemon's CPU: they count as charges here.
        figures = dict(rate=report["throughput"], p99_ms=report["latency"]["p99_us"] / 1000, cpu_us=spent * 1e6 / (made + 20_000),
                       lag_s=max(lags), generator_s=report["client"]["cpu_s"], memory_mib=memory(daemon)["VmHWM"])
        listed = check(url, made)
        daemon.send_signal(signal.SIGINT)
        daemon.wait()
        sizes = disk(data)
        figures["bytes_per_charge"] = sum(size for name, size in sizes.items() if name != "spare segment") / made
        print(f"{made} charges, {listed} listed:", ", ".join(f"{name} {value:.4g}" for name, value in figures.items()),
              "disk MiB", {name: size >> 20 for name, size in sizes.items()}, flush=True)
        subprocess.run([FLORIN, "verify", data], check=True, stdout=subprocess.DEVNULL)
        return figures
    finally:
        daemon.kill()
        shutil.rmtree(work, ignore_errors=True)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--seconds", type=int, default=60)
    args.add_argument("--connections", type=int, default=64)
    args = args.parse_args()
    rounds = [one(args.seconds, args.connections) for _ in range(args.rounds)]
    print("medians:", ", ".join(f"{name} {statistics.median(r[name] for r in rounds):.5g}" for name in rounds[0]),
          f"; largest lag {max(r['lag_s'] for r in rounds):.2f} s")


sys.exit(main())
