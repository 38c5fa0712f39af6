//! One seed, one digest: whatever the threads, the restarts and the way of running.

use std::path::Path;
use std::process::Command;

use florin::domain::tables::Tables;
use florin::simulation::in_process::{SimulateOptions, run};
use florin::simulation::report::RunReport;
use florin::simulation::{Plan, Scenario};

const FOUR_PLATFORMS: &str = r#"
id = "four_platforms"
description = "Four small marketplaces at once, with everything that smoke has"
start = 2026-10-27T12:00:00
duration_s = 259200
tz = "Europe/Amsterdam"
platforms = 4
accounts = 6
customers = 10
split_rules = 2
zipf = 1.0
country = "NL"
payments = 80
arrival = { process = "nhpp", curve = "retail" }
mix = [{ method = "ideal", currency = "EUR", share = 0.7 }, { method = "card", currency = "USD", share = 0.3 }]
amount = { EUR = { mu = 8.3428, sigma = 1.13, min = 50, max = 1000000 }, USD = { mu = 8.3, sigma = 1.0, min = 100, max = 900000 } }
charge_type = { destination = 0.8, split = 0.2, sellers_per_cart = [2, 4] }
application_fee = { bps = 800, fixed = 25 }
refund = { share = 0.2, delay_p50_s = 43200, within_s = 172800, partial_share = 0.5 }
decline_share = 0.05
duplicate_request_share = 0.05
"#;

fn simulate(data: &Path, cells: usize, restart_at: Option<f64>, batch_limit: usize) -> RunReport {
    let scenario = Scenario::parse(FOUR_PLATFORMS, "four_platforms").expect("a scenario");
    let plan = Plan::new(&scenario, 42, 1.0).expect("a plan");
    let options = SimulateOptions {
        data: data.to_owned(),
        cells,
        restart_at,
        batch_limit,
        tables: Tables::default(),
        top_accounts: 3,
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let report =
        actix::System::with_tokio_rt(runtime).block_on(async { run(&plan, &options, &|_| {}).await }).expect("it runs");
    assert_eq!((report.counts.errors, report.problem_count), (0, 0), "{:?}", report.problems);
    assert!(report.trial_balance.as_ref().expect("a trial balance").zero);
    assert_eq!(report.digests.len(), 4);
    report
}

#[test]
fn four_platforms_give_one_digest_each_over_cells_restarts_and_batches() {
    let folder = tempfile::tempdir().expect("a folder");
    let reference = simulate(&folder.path().join("reference"), 1, None, 1_024);
    for (name, cells, restart_at, batch_limit) in [
        ("again", 1, None, 1_024),
        ("two_cells", 2, None, 1_024),
        ("restart", 2, Some(0.5), 7),
        ("one_by_one", 1, Some(0.2), 1),
    ] {
        let run = simulate(&folder.path().join(name), cells, restart_at, batch_limit);
        assert_eq!(run.digests, reference.digests, "{name}");
        assert_eq!(run.counts, reference.counts, "{name}");
        assert_eq!(run.amounts, reference.amounts, "{name}");
    }

    // The binary, from the journals alone.
    for (task, name) in [("replay", "reference"), ("verify", "restart")] {
        let output = Command::new(env!("CARGO_BIN_EXE_florin"))
            .args([task, "--json"])
            .arg(folder.path().join(name))
            .output()
            .expect("florin runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{task}: {text} {}", String::from_utf8_lossy(&output.stderr));
        for digest in &reference.digests {
            assert!(text.contains(&digest.digest), "{task} of {name} gives platform {}'s digest", digest.platform);
        }
    }
}
