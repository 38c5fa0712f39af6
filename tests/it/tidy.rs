//! The laws of the house that no lint can say: arrows point downwards, and the rooms that decide are pure.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from bottom to top. A room may use those before it in the list, and itself.
const ROOMS: [&str; 8] = ["primitives", "ledger", "domain", "engine", "api", "web", "simulation", "cli"];

/// Rooms in which nothing looks around: no clock, no randomness, no disk, no network, no threads.
const PURE: [&str; 3] = ["primitives", "ledger", "domain"];

const IMPURE: [&str; 12] = [
    "SystemTime",
    "Instant::now",
    "std::fs",
    "std::net",
    "std::thread",
    "tokio::",
    "actix",
    "rand::",
    "getrandom",
    "HashMap",
    "HashSet",
    "std::env",
];

/// Files above the pure rooms that decide nevertheless, or carry decisions: pure as well.
const PURE_FILES: [&str; 6] = [
    "engine/machine.rs",
    "engine/state.rs",
    "engine/plain.rs",
    "engine/digest.rs",
    "engine/idempotency.rs",
    "engine/recovery.rs",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Path below `src`, and the text without test modules and comments.
fn code() -> Vec<(String, String)> {
    let root = source_root();
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("a source file");
            // `#[cfg(test)]` before a module, or `#![cfg(test)]` at the top of a file of tests.
            let body = text.split("[cfg(test)]").next().unwrap_or_default();
            let code: String = body
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| format!("{line}\n"))
                .collect();
            (name, code)
        })
        .collect()
}

fn room(name: &str) -> Option<usize> {
    let first = name.split('/').next()?;
    ROOMS.iter().position(|room| *room == first)
}

#[test]
fn arrows_point_downwards_only() {
    let mut upwards = Vec::new();
    for (name, code) in code() {
        let Some(here) = room(&name) else { continue };
        for (number, line) in code.lines().enumerate() {
            for piece in line.split("crate::").skip(1) {
                let target: String = piece.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let Some(there) = ROOMS.iter().position(|room| *room == target) else { continue };
                // `simulation` stands beside `api` and `web`: it drives the engine, and those only over HTTP.
                let sideways = ROOMS[here] == "simulation" && matches!(ROOMS[there], "api" | "web");
                if there > here || sideways {
                    upwards.push(format!("{name}:{}: {} uses {}", number + 1, ROOMS[here], ROOMS[there]));
                }
            }
        }
    }
    assert!(upwards.is_empty(), "arrows that point upwards:\n{}", upwards.join("\n"));
}

/// Whether a line has this word, and not only a longer one that ends with it: `rand::`, not `Brand::`.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|before: char| before.is_ascii_alphanumeric()))
}

#[test]
fn rooms_that_decide_do_not_look_around() {
    let mut found = Vec::new();
    for (name, code) in code() {
        let pure = room(&name).is_some_and(|room| PURE.contains(&ROOMS[room])) || PURE_FILES.contains(&name.as_str());
        if !pure {
            continue;
        }
        for (number, line) in code.lines().enumerate() {
            for word in IMPURE.iter().filter(|word| has_word(line, word)) {
                found.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "a clock, randomness or the outside world in a pure room:\n{}", found.join("\n"));
}

#[test]
fn money_is_never_a_float() {
    let mut found = Vec::new();
    for (name, code) in code() {
        if room(&name).is_some_and(|room| PURE.contains(&ROOMS[room])) {
            for (number, line) in code.lines().enumerate() {
                if line.contains("f64") || line.contains("f32") {
                    found.push(format!("{name}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "floats near money:\n{}", found.join("\n"));
}

#[test]
fn only_the_engine_knows_its_crates() {
    let mut found = Vec::new();
    for (name, code) in code() {
        let inside = name.starts_with("engine/");
        for krate in ["sled::", "fjall::"] {
            if !inside && code.contains(krate) {
                found.push(format!("{name}: {krate}"));
            }
        }
        // The command line starts the actor system; nobody else outside the engine knows that there are actors.
        if !inside && !name.starts_with("cli/") && !name.starts_with("simulation/") && code.contains("actix::") {
            found.push(format!("{name}: actix"));
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_file_says_what_it_is() {
    let root = source_root();
    let mut files = Vec::new();
    sources(&root, &mut files);
    let silent: Vec<_> =
        files.into_iter().filter(|path| !fs::read_to_string(path).expect("a source file").starts_with("//!")).collect();
    assert!(silent.is_empty(), "files without a heading: {silent:?}");
}
