//! `florin load`: a scenario over HTTP against a running daemon.

use std::path::PathBuf;
use std::time::Duration;

use super::Failure;
use crate::simulation::Scenario;
use crate::simulation::http::{LoadError, LoadOptions, Pace, run as run_load};

/// What to send where, and how fast.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadArgs {
    /// Where the daemon listens: http://127.0.0.1:4242
    pub url: String,
    /// A scenario file
    pub scenario: PathBuf,
    /// Secret key; once per platform of the scenario
    #[arg(long, env = "FLORIN_TEST_KEY", hide_env_values = true, required = true)]
    pub key: Vec<String>,
    /// Requests per second, open loop; or max: closed loop, as fast as it goes
    #[arg(long, value_name = "R|max", conflicts_with = "speed")]
    pub rate: Option<String>,
    /// Times the scenario's own pace [default: 1]
    #[arg(long, value_name = "X")]
    pub speed: Option<f64>,
    /// Keep-alive connections
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Stop after this many seconds, warm-up included
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<f64>,
    /// Seconds at the start that are not measured
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub warmup: f64,
    /// Seed of every draw
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Multiplies all counts
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// Write report.json, CSVs and index.html here
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Sends a scenario and reports.
///
/// # Errors
/// A daemon that cannot be reached, or answers that are not what they should be.
pub fn run(args: &LoadArgs) -> Result<(), Failure> {
    let scenario = Scenario::read(&args.scenario).map_err(|error| Failure::usage(error.to_string()))?;
    let pace = match (args.rate.as_deref(), args.speed) {
        (Some("max"), _) => Pace::Max,
        (Some(text), _) => {
            let bad = || Failure::usage(format!("--rate {text}: give requests per second, or max"));
            Pace::Rate(text.parse().map_err(|_| bad())?)
        }
        (None, speed) => Pace::Speed(speed.unwrap_or(1.0)),
    };
    let seconds = |what: &str, value: f64| {
        Duration::try_from_secs_f64(value)
            .map_err(|_| Failure::usage(format!("--{what} {value}: not a time in seconds")))
    };
    let options = LoadOptions {
        seed: args.seed,
        scale: args.scale,
        keys: args.key.clone(),
        pace,
        connections: args.connections,
        duration: args.duration.map(|value| seconds("duration", value)).transpose()?,
        warmup: seconds("warmup", args.warmup)?,
        progress: !args.json,
        ..LoadOptions::new(&args.url, scenario, "")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(run_load(options)).map_err(|error: LoadError| Failure::failed(error.to_string()))?;
    super::simulate::finish(&report.run, args.report.as_deref(), args.json)
}
