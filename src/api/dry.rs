//! Dry runs: which parameters an operation reads, asked of the operation itself.
//!
//! An operation is run with made-up parameters and a reader that notes each name it is asked for, with its kind, its
//! choices and whether it is required. [`Fields::finish`](super::fields::Fields::finish) and every submission end a dry
//! run, so it changes nothing. What a parameter leads to is found by giving it: hashes are opened, choices tried, what
//! is missing added. So what comes out was really asked for; branches that need several parameters at once may hide
//! some more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::ApiState;
use super::error::ApiError;
use super::keys::Tenant;
use super::operations::Operation;
use super::params::parse_query;
use super::request::Call;

/// Runs of one operation at most: far above what the largest one takes.
const RUNS_MAX: usize = 4_000;
/// Hashes inside hashes are followed so deep.
const DEPTH_MAX: usize = 6;
/// Parameters that a run may lack in turn.
const MISSING_MAX: usize = 12;
/// Stands for the name of an entry whose name is the caller's, and for the first of a list.
pub const ANY: &str = "*";

/// What a reader takes a parameter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Text.
    Text,
    /// Whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of the choices.
    Choice,
    /// A hash with names of its own.
    Hash,
    /// A hash whose names are the caller's, each a hash.
    Map,
    /// A hash of texts whose names are the caller's.
    Metadata,
    /// A list of texts.
    Texts,
    /// A list of hashes.
    Hashes,
    /// Anything; looked at or ignored.
    Any,
}

/// A parameter as its readers see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// For what it is taken.
    pub kinds: BTreeSet<Kind>,
    /// Its values, where only some are allowed.
    pub choices: Vec<String>,
    /// Without it the operation, or the hash that it lies in, is refused.
    pub required: bool,
}

/// Parameters by name in bracket notation; `*` stands for names and places that are the caller's.
pub type Parameters = BTreeMap<String, Parameter>;

/// What a dry run notes.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<Parameters>>);

impl Notes {
    /// A reader asked for this.
    pub fn asked(&self, name: &str, kind: Kind) {
        self.with(name, |parameter| {
            parameter.kinds.insert(kind);
        });
    }

    /// … and takes one of these.
    pub fn chosen<'a>(&self, name: &str, choices: impl Iterator<Item = &'a str>) {
        self.with(name, |parameter| {
            for choice in choices {
                if !parameter.choices.iter().any(|have| have == choice) {
                    parameter.choices.push(choice.to_owned());
                }
            }
        });
    }

    /// … and cannot do without.
    pub fn required(&self, name: &str) {
        self.with(name, |parameter| parameter.required = true);
    }

    fn with(&self, name: &str, note: impl FnOnce(&mut Parameter)) {
        note(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(general(name)).or_default());
    }

    fn take(&self) -> Parameters {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A name with its numbers as [`ANY`].
fn general(name: &str) -> String {
    let mut whole = String::with_capacity(name.len());
    for (place, step) in name.split('[').enumerate() {
        let inner = step.strip_suffix(']');
        match inner {
            Some(inner) if place > 0 => {
                let index = !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit());
                whole.push_str(&format!("[{}]", if index { ANY } else { inner }));
            }
            _ => whole.push_str(step),
        }
    }
    whole
}

/// The ways to send a parameter, so that its readers go on: as form parameters.
fn forms(name: &str, parameter: &Parameter) -> Vec<Vec<(String, String)>> {
    let one = |name: String, value: &str| vec![(name, value.to_owned())];
    let text = match name.rsplit('[').next().unwrap_or(name).trim_end_matches(']') {
        last if last.ends_with("currency") => "usd",
        last if last.ends_with("country") => "US",
        last if last.ends_with("email") => "jenny@example.com",
        last if last.ends_with("url") => "https://example.com",
        last if last.ends_with("type") => "card",
        "account" => "platform",
        _ => "1",
    };
    let mut ways = Vec::new();
    for kind in &parameter.kinds {
        match kind {
            Kind::Text | Kind::Integer => ways.push(one(name.to_owned(), text)),
            Kind::Boolean => ways.extend(["true", "false"].map(|value| one(name.to_owned(), value))),
            Kind::Choice => ways.extend(parameter.choices.iter().map(|choice| one(name.to_owned(), choice))),
            Kind::Hash => ways.push(one(format!("{name}[{ANY}]"), "1")),
            Kind::Map => ways.push(one(format!("{name}[{ANY}][{ANY}]"), "1")),
            Kind::Metadata => ways.push(one(format!("{name}[a]"), "1")),
            Kind::Texts => match parameter.choices.as_slice() {
                [] => ways.push(one(format!("{name}[0]"), text)),
                choices => ways.extend(choices.iter().map(|choice| one(format!("{name}[0]"), choice))),
            },
            Kind::Hashes => ways.push(one(format!("{name}[0][{ANY}]"), "1")),
            Kind::Any => {}
        }
    }
    ways
}

/// What an operation reads.
pub async fn parameters(state: &Arc<ApiState>, tenant: &Arc<Tenant>, operation: &Operation) -> Parameters {
    let mut known = Parameters::new();
    let Some(run) = operation.run else { return known };
    // Found before, with the ways in that led there.
    let mut waiting: Vec<Vec<(String, String)>> = vec![Vec::new()];
    let mut tried: BTreeSet<Vec<(String, String)>> = BTreeSet::new();
    // What every run needs.
    let mut always: Vec<(String, String)> = Vec::new();
    while let Some(extra) = waiting.pop() {
        if tried.len() >= RUNS_MAX || !tried.insert(extra.clone()) {
            continue;
        }
        let mut lacking = Vec::new();
        for _ in 0..MISSING_MAX {
            let notes = Notes::default();
            let pairs: Vec<&(String, String)> = always.iter().chain(&lacking).chain(&extra).collect();
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs.iter().map(|(n, v)| (n, v)))
                .finish();
            // Names that clash with one another make no request.
            let Ok(tree) = parse_query(&query) else { break };
            let call = Call::dry(Arc::clone(state), Arc::clone(tenant), operation, tree, notes.clone());
            let ended = run(call).await.err();
            for (name, found) in notes.take() {
                let parameter = known.entry(name.clone()).or_default();
                let before = parameter.clone();
                parameter.kinds.extend(&found.kinds);
                parameter.required |= found.required;
                for choice in found.choices {
                    if !parameter.choices.contains(&choice) {
                        parameter.choices.push(choice);
                    }
                }
                if *parameter != before && name.matches('[').count() < DEPTH_MAX {
                    waiting.extend(forms(&sendable(&name, &extra), parameter).into_iter().map(|mut way| {
                        // Beside what led there, unless it stands in its place.
                        let kept = extra.iter().filter(|(have, _)| !way.iter().any(|(name, _)| clash(name, have)));
                        way.extend(kept.cloned().collect::<Vec<_>>());
                        way
                    }));
                }
            }
            match ended.as_ref().and_then(missing) {
                Some(name) if !pairs.iter().any(|(have, _)| have.starts_with(name)) => {
                    let parameter = known.get(&general(name)).cloned().unwrap_or_default();
                    let way = forms(name, &parameter).into_iter().next();
                    let way = way.unwrap_or_else(|| vec![(name.to_owned(), "1".to_owned())]);
                    if name.contains('[') { lacking.extend(way) } else { always.extend(way) }
                }
                _ => break,
            }
        }
    }
    known
}

/// The parameter that an error says is missing.
fn missing(error: &ApiError) -> Option<&str> {
    (error.code.as_deref() == Some("parameter_missing")).then_some(error.param.as_deref()).flatten()
}

/// A noted name as it is sent: entries of lists by their number, as they were in the run that found it.
fn sendable(name: &str, extra: &[(String, String)]) -> String {
    let lists: Vec<&str> = extra.iter().filter_map(|(sent, _)| sent.split_once("[0]").map(|(list, _)| list)).collect();
    let mut sent = name.to_owned();
    for list in lists {
        let entry = format!("{list}[{ANY}]");
        if let Some(rest) = sent.strip_prefix(&entry) {
            sent = format!("{list}[0]{rest}");
        }
    }
    sent
}

/// Whether both cannot be in one request: the same name, or the placeholder of a hash beside one of its names.
fn clash(new: &str, old: &str) -> bool {
    let hash = old.strip_suffix(&format!("[{ANY}]"));
    let inside = |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('['));
    new == old || hash.is_some_and(|hash| inside(hash, new)) || inside(new, old) || inside(old, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_anybody_s() {
        for (name, expected) in [
            ("amount", "amount"),
            ("transfer_data[destination]", "transfer_data[destination]"),
            ("shares[0][amount]", "shares[*][amount]"),
            ("expand[12]", "expand[*]"),
            ("capabilities[*][requested]", "capabilities[*][requested]"),
        ] {
            assert_eq!(general(name), expected);
        }
    }

    #[test]
    fn what_led_to_a_parameter_is_sent_with_it() {
        let pair = |name: &str| (name.to_owned(), "1".to_owned());
        assert_eq!(sendable("shares[*][amount]", &[pair("shares[0][*]")]), "shares[0][amount]");
        assert_eq!(sendable("capabilities[*][requested]", &[pair("capabilities[*][*]")]), "capabilities[*][requested]");
        assert!(clash("shares[0][amount]", "shares[0][*]"));
        assert!(clash("created[*]", "created"), "a hash and a text");
        assert!(!clash("amount", "currency"));
    }
}
