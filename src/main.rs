//! The `florin` binary.

use std::process::ExitCode;

/// The best of the allocators that were measured for this load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Children that open snapshots are this binary, too.
    florin::engine::snapshot::child_of_args(std::env::args_os()).unwrap_or_else(florin::cli::main)
}
