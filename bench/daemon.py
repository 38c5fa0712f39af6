"""A daemon under measurement: how the scripts of this folder start it, load it and read what it costs."""
import json, os, re, subprocess, time, urllib.request

FLORIN = "target/release/florin"
KEY = "sk_test_florin_bench"


def serve(data, snapshot_seconds=60):
    """Starts a daemon on `data`: (process, address, seconds until it says where it listens)."""
    path = os.path.join(data, "..", "bench.toml")
    with open(path, "w") as config:
        config.write(f"snapshot_seconds = {snapshot_seconds}\n")
    env = dict(os.environ, FLORIN_TEST_KEY=KEY)
    began = time.monotonic()
    daemon = subprocess.Popen([FLORIN, "serve", "--listen", "127.0.0.1:0", "--data", data, "--config", path],
                              stdout=subprocess.PIPE, env=env, text=True)
    url = re.search(r"http://\S+", daemon.stdout.readline()).group(0)
    return daemon, url, time.monotonic() - began


def load(url, scenario, *more):
    """Runs the load generator at full speed and gives its report."""
    command = [FLORIN, "load", url, f"simulations/{scenario}.toml", "--key", KEY, "--rate", "max", "--json", *more]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def get(url, path, account=None):
    """One GET of the API, as JSON."""
    headers = {"Authorization": f"Bearer {KEY}"} | ({"Stripe-Account": account} if account else {})
    with urllib.request.urlopen(urllib.request.Request(url + path, headers=headers), timeout=60) as answer:
        return json.load(answer)


def memory(daemon):
    """Resident memory now and at its highest, MiB."""
    text = open(f"/proc/{daemon.pid}/status").read()
    return {key: int(re.search(rf"{key}:\s+(\d+)", text).group(1)) // 1024 for key in ("VmRSS", "VmHWM")}


def cpu(daemon):
    """CPU seconds of all its threads so far."""
    fields = open(f"/proc/{daemon.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk(data):
    """Bytes on the disk by folder; the journal's spare segment apart."""
    sizes = {}
    for folder in sorted(os.listdir(data)):
        total = 0
        for root, _, files in os.walk(os.path.join(data, folder)):
            total += sum(os.stat(os.path.join(root, f)).st_blocks * 512 for f in files)
        sizes[folder] = total
    spare = os.path.join(data, "journal", "next.tmp")
    sizes["spare segment"] = os.stat(spare).st_blocks * 512 if os.path.exists(spare) else 0
    sizes["journal"] -= sizes["spare segment"]
    return sizes
