//! The command line: wiring, and nothing that decides.
//!
//! Owns flags, configuration, the daemon's start and stop, and what is printed. Never knows how money moves.

pub mod config;
pub mod gauges;
pub mod journal;
pub mod load;
pub mod serve;
pub mod simulate;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A ledger daemon that runs a marketplace's money: the Connect you can host.
#[derive(Debug, Parser)]
#[command(name = "florin", version, about, after_help = EXIT_CODES)]
struct Args {
    #[command(subcommand)]
    command: Option<Task>,
    #[command(flatten)]
    serve: ServeArgs,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 it failed (the last line says why); 2 the command line or configuration is wrong; \
3 a journal is damaged or books do not balance; 4 a run finished and a check in it failed.
Configuration: flags, over FLORIN_... environment variables, over config.toml. Without a command, florin serves.";

#[derive(Debug, Subcommand)]
enum Task {
    /// Run the daemon (the default)
    Serve(ServeArgs),
    /// Run a scenario against the real engine in this process
    Simulate(simulate::SimulateArgs),
    /// Send a scenario over HTTP to a running daemon, and measure it
    Load(load::LoadArgs),
    /// Rebuild every platform from a journal; print state digests and trial balances
    Replay {
        /// A data folder, or its journal folder
        journal: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check a journal: chain, checksums, zero sums, every decision made again and compared
    Verify {
        /// A data folder, or its journal folder
        journal: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Look into a journal
    #[command(subcommand)]
    Journal(JournalTask),
}

#[derive(Debug, Subcommand)]
enum JournalTask {
    /// Print entries as JSON lines
    Cat {
        /// A data folder, or its journal folder
        journal: PathBuf,
        /// Only this platform's
        #[arg(long)]
        platform: Option<u32>,
        /// From this sequence number on
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
    /// Print counts and sizes
    Stat {
        /// A data folder, or its journal folder
        journal: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Where to serve, and from what.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServeArgs {
    /// Address to listen on [default: 127.0.0.1:4242]
    #[arg(long, env = "FLORIN_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Data folder: journal, keys, tables and caches [default: data]
    #[arg(long, env = "FLORIN_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration file [default: ./config.toml where it exists]
    #[arg(long, env = "FLORIN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The first platform's secret test key (sk_test_...) [default: derived from the data folder's root secret]
    #[arg(long, env = "FLORIN_TEST_KEY", value_name = "KEY", hide_env_values = true)]
    pub test_key: Option<String>,
    /// Threads with routers and connections
    #[arg(long, env = "FLORIN_CELLS", value_name = "N")]
    pub cells: Option<usize>,
}

/// Why a command failed, and with which exit code.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// It failed.
    pub fn failed(message: String) -> Failure {
        Failure { code: 1, message }
    }

    /// The command line or configuration is wrong.
    pub fn usage(message: String) -> Failure {
        Failure { code: 2, message }
    }

    /// A journal is damaged, or books do not balance.
    pub fn damaged(message: String) -> Failure {
        Failure { code: 3, message }
    }

    /// A run finished, and a check in it failed.
    pub fn check(message: String) -> Failure {
        Failure { code: 4, message }
    }
}

impl From<crate::engine::journal::JournalError> for Failure {
    fn from(error: crate::engine::journal::JournalError) -> Failure {
        Failure::damaged(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        // `florin journal cat | head` closes the pipe: that is no failure.
        let code = if error.kind() == std::io::ErrorKind::BrokenPipe { 0 } else { 1 };
        Failure { code, message: error.to_string() }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        match error.io_error_kind() {
            Some(kind) => std::io::Error::from(kind).into(),
            None => Failure::failed(error.to_string()),
        }
    }
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.command {
        None => serve::run(&args.serve),
        Some(Task::Serve(serve)) => serve::run(&serve),
        Some(Task::Load(load)) => load::run(&load),
        Some(Task::Simulate(simulate)) => simulate::run(&simulate),
        Some(Task::Replay { journal, json }) => journal::replay(&journal, json),
        Some(Task::Verify { journal, json }) => journal::verify(&journal, json),
        Some(Task::Journal(JournalTask::Cat { journal, platform, from })) => journal::cat(&journal, platform, from),
        Some(Task::Journal(JournalTask::Stat { journal, json })) => journal::stat(&journal, json),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.code != 0 {
                eprintln!("florin: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}
