//! `florin simulate`: a scenario against the real engine, in this process.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::domain::tables::Tables;
use crate::simulation::in_process::{SimulateError, SimulateOptions, run as run_plan};
use crate::simulation::report::RunReport;
use crate::simulation::{Plan, Scenario, progress};

/// What to simulate, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    /// A scenario file, for example simulations/smoke.toml
    pub scenario: PathBuf,
    /// Seed of every draw
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Multiplies all counts
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// Threads with routers (platforms are spread over them)
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Data folder to keep [default: a temporary one]
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Write report.json, CSVs and index.html here
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Stop and start the engine after this share of the actions
    #[arg(long, value_name = "SHARE")]
    pub restart_at: Option<f64>,
    /// Most entries of one batch
    #[arg(long, default_value_t = 1_024)]
    pub batch_limit: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs a scenario and judges it.
///
/// # Errors
/// A scenario that cannot be, or a check that fails.
pub fn run(args: &SimulateArgs) -> Result<(), Failure> {
    let scenario = Scenario::read(&args.scenario).map_err(|error| Failure::usage(error.to_string()))?;
    let plan = Plan::new(&scenario, args.seed, args.scale).map_err(|error| Failure::usage(error.to_string()))?;
    let temporary = std::env::temp_dir().join(format!("florin-simulate-{}", std::process::id()));
    let options = SimulateOptions {
        data: args.data.clone().unwrap_or_else(|| temporary.clone()),
        cells: args.workers.max(1),
        restart_at: args.restart_at,
        batch_limit: args.batch_limit,
        tables: Tables::default(),
        top_accounts: 10,
    };
    super::serve::log_to_stderr();
    let bar = progress::bar("actions", None, !args.json);
    let ran = super::serve::in_cell(async { run_plan(&plan, &options, &|more| bar.inc(more)).await });
    bar.finish_and_clear();
    if args.data.is_none() {
        let _ = std::fs::remove_dir_all(&temporary);
    }
    let report = ran.map_err(|error: SimulateError| Failure::failed(error.to_string()))?;
    finish(&report, args.report.as_deref(), args.json)
}

/// Writes and prints a run's report, and says whether its checks held.
///
/// # Errors
/// A check that failed, or a report that cannot be written.
pub fn finish(report: &RunReport, folder: Option<&Path>, json: bool) -> Result<(), Failure> {
    if let Some(folder) = folder {
        report.write(folder)?;
    }
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        print(report, &mut out)?;
        if let Some(folder) = folder {
            writeln!(out, "report     {}", folder.join("index.html").display())?;
        }
    }
    let balanced = report.trial_balance.as_ref().is_none_or(|balance| balance.zero);
    if report.counts.errors > 0 || report.problem_count > 0 || !balanced {
        let first = report.problems.first().map_or("", String::as_str);
        return Err(Failure::check(format!(
            "{} requests failed, {} problems, books {}. {first}",
            report.counts.errors,
            report.problem_count,
            if balanced { "closed" } else { "NOT closed" }
        )));
    }
    Ok(())
}

fn print(report: &RunReport, out: &mut impl Write) -> std::io::Result<()> {
    let counts = &report.counts;
    writeln!(out, "scenario   {} seed {} scale {}", report.scenario.id, report.seed, report.scale)?;
    writeln!(
        out,
        "requests   {} in {:.2} s, {:.0}/s: {} charges succeeded, {} declined, {} refunds, {} repeated, {} errors",
        counts.attempted,
        report.wall_s,
        report.throughput,
        counts.succeeded,
        counts.declined,
        counts.refunded,
        counts.repeated,
        counts.errors
    )?;
    for (currency, totals) in &report.amounts {
        writeln!(
            out,
            "{currency}        charged {} fees {} refunded {} (minor units)",
            totals.charged_minor, totals.application_fees_minor, totals.refunded_minor
        )?;
    }
    if let Some(latency) = &report.latency {
        writeln!(
            out,
            "latency    p50 {} us, p90 {}, p99 {}, p99.9 {}, max {}",
            latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us
        )?;
    }
    if let Some(client) = &report.client {
        writeln!(
            out,
            "generator  {} over {} connections, CPU {:.2} s",
            client.pace,
            client.connections,
            client.cpu_s.unwrap_or(0.0)
        )?;
    }
    for digest in &report.digests {
        writeln!(out, "digest     platform {} at entry {}: {}", digest.platform, digest.sequence, digest.digest)?;
    }
    if let Some(balance) = &report.trial_balance {
        writeln!(out, "books      {}", if balance.zero { "zero in every currency" } else { "NOT ZERO" })?;
    }
    Ok(())
}
