//! Typed reading of parameters, with the errors of the wire.
//!
//! Owns the way from text to integer, boolean, choice, hash, list and metadata, and the rule that a parameter which
//! nobody asked for is an error. Never knows an endpoint: names and choices come from the caller.
//!
//! Every reading marks its parameter. [`Fields::finish`] on the outermost reader refuses the first one without a mark,
//! hashes included that were opened and not read to the end, so forgetting to finish a child hides nothing. The names
//! asked for are kept as well: they are what a misspelt one is compared with.
//!
//! Readers borrow the tree and take `&self`, so what they return may be kept while reading goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::dry::{Kind, Notes};
use super::error::ApiError;
use super::params::{Hash, Node, Tree};
use crate::domain::seal::METADATA_KEYS_MAX;

/// Longest text, in characters, where an endpoint sets no tighter limit.
pub const TEXT_CHARS_MAX: usize = 5000;
pub const METADATA_KEY_CHARS_MAX: usize = 40;
pub const METADATA_VALUE_CHARS_MAX: usize = 500;
/// How much of a hash is shown where a text was due.
const DESCRIBE_BYTES_MAX: usize = 200;
/// Longer names are not compared with known ones; comparing takes time by the product of both lengths.
const SUGGEST_BYTES_MAX: usize = 64;

/// What an update does to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Not sent: stays as it is.
    #[default]
    Keep,
    /// Sent empty: becomes null.
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => Patch::Set(change(value)),
        }
    }

    pub fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        match self {
            Patch::Keep => Ok(Patch::Keep),
            Patch::Clear => Ok(Patch::Clear),
            Patch::Set(value) => change(value).map(Patch::Set),
        }
    }

    /// The value of a new object, where not sent and sent empty mean the same.
    pub fn value(self) -> Option<T> {
        match self {
            Patch::Keep | Patch::Clear => None,
            Patch::Set(value) => Some(value),
        }
    }

    /// The value of an object that was there before.
    pub fn applied_to(self, before: Option<T>) -> Option<T> {
        match self {
            Patch::Keep => before,
            Patch::Clear => None,
            Patch::Set(value) => Some(value),
        }
    }

    pub fn is_keep(&self) -> bool {
        matches!(self, Patch::Keep)
    }
}

/// What a request does to metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataPatch {
    /// `metadata=`: removes all.
    ClearAll,
    /// Sets the keys that have a value and removes those that have none; others stay.
    Change(Vec<(String, Option<String>)>),
}

impl MetadataPatch {
    /// Merges into what an object has. `metadata` is left as it was if the result would have too many keys.
    pub fn apply_to(&self, metadata: &mut BTreeMap<String, String>) -> Result<(), ApiError> {
        match self {
            MetadataPatch::ClearAll => metadata.clear(),
            MetadataPatch::Change(changes) => {
                let mut merged = metadata.clone();
                for (key, value) in changes {
                    match value {
                        Some(value) => merged.insert(key.clone(), value.clone()),
                        None => merged.remove(key),
                    };
                }
                if merged.len() > METADATA_KEYS_MAX {
                    return Err(too_many_metadata_keys("metadata", merged.len()));
                }
                *metadata = merged;
            }
        }
        Ok(())
    }

    /// The metadata of a new object.
    pub fn into_new(self) -> BTreeMap<String, String> {
        match self {
            MetadataPatch::ClearAll => BTreeMap::new(),
            MetadataPatch::Change(changes) => {
                changes.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect()
            }
        }
    }
}

/// A postal address as sent; each line on its own may be kept, cleared or set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddressPatch<'a> {
    pub line1: Patch<&'a str>,
    pub line2: Patch<&'a str>,
    pub city: Patch<&'a str>,
    pub state: Patch<&'a str>,
    pub postal_code: Patch<&'a str>,
    pub country: Patch<&'a str>,
}

/// Reads the parameters of one hash.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    hash: &'a Hash,
    /// The hash's own name in bracket notation; empty for the outermost.
    name: String,
    reading: Arc<Mutex<Reading>>,
    deferred: Deferred,
}

/// The first error that is told only when no parameter is unknown: a misspelt name explains what misses.
#[derive(Debug, Clone, Default)]
pub struct Deferred {
    error: Arc<Mutex<Option<ApiError>>>,
    /// In a dry run: what was asked for.
    dry: Option<Notes>,
}

impl Deferred {
    /// For a dry run: notes what is asked for, and ends the run where reading ends.
    pub fn noting(notes: Notes) -> Deferred {
        Deferred { error: Arc::default(), dry: Some(notes) }
    }

    /// Whether the run is dry.
    pub fn is_dry(&self) -> bool {
        self.dry.is_some()
    }

    /// Keeps an error, unless there is an earlier one.
    pub fn put(&self, error: ApiError) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// The error that was kept.
    pub fn check(&self) -> Result<(), ApiError> {
        if self.is_dry() {
            return Err(ApiError::malformed("A dry run ends here."));
        }
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }
}

/// Shared by a reader and all readers below it. A lock that is never contended costs some nanoseconds and leaves
/// readers free to live across an await.
#[derive(Debug)]
struct Reading {
    /// One for each name of the tree, in its numbering.
    marks: Vec<Mark>,
    /// Names that were asked for, with the first mark of the hash in which.
    asked: Vec<(usize, &'static str)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Nobody asked for it.
    Unread,
    /// Its inside is read by name.
    Opened,
    /// Read or ignored with all that is inside.
    Whole,
}

impl<'a> Fields<'a> {
    pub fn new(tree: &'a Tree) -> Fields<'a> {
        Fields::deferring(tree, Deferred::default())
    }

    /// A reader whose [`Fields::finish`] also tells what others defer.
    pub fn deferring(tree: &'a Tree, deferred: Deferred) -> Fields<'a> {
        let reading = Reading { marks: vec![Mark::Unread; tree.marks], asked: Vec::with_capacity(16) };
        Fields { hash: &tree.root, name: String::new(), reading: Arc::new(Mutex::new(reading)), deferred }
    }

    /// Where a parameter is missing, tells so at the end and goes on with a stand-in.
    pub fn or_defer<T>(&self, name: &str, value: Option<T>, stand_in: T) -> T {
        self.note_required(name);
        value.unwrap_or_else(|| {
            self.deferred.put(ApiError::missing(self.name_of(name)));
            stand_in
        })
    }

    /// Keeps an error for the end, and goes on with a stand-in.
    pub fn defer<T>(&self, error: ApiError, stand_in: T) -> T {
        self.deferred.put(error);
        stand_in
    }

    /// The name of a parameter of this hash as errors show it: `transfer_data[destination]`.
    pub fn name_of(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_owned() } else { format!("{}[{name}]", self.name) }
    }

    /// Refuses the first parameter, here or below, that nobody asked for, then tells what was deferred.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.deferred.is_dry() {
            return self.deferred.check();
        }
        let reading = self.reading();
        match first_unread(self.hash, &self.name, &reading.marks) {
            None => self.deferred.check(),
            Some(Leftover { hash, name, whole }) => {
                let asked = reading.asked.iter().filter(|(first_mark, _)| *first_mark == hash.first_mark);
                let close = closest(name, asked.map(|&(_, known)| known));
                let close = close.map(|known| match whole.strip_suffix(&format!("[{name}]")) {
                    Some(parent) => format!("{parent}[{known}]"),
                    None => known.to_owned(),
                });
                Err(ApiError::unknown_parameter(&whole, close.as_deref()))
            }
        }
    }

    /// Accepts a parameter without using it, with all that is inside.
    pub fn ignore(&self, name: &'static str) {
        self.note(name, Kind::Any);
        self.take(name, Mark::Whole);
    }

    /// Accepts whatever else there is in this hash.
    pub fn ignore_rest(&self) {
        let mut reading = self.reading();
        for position in 0..self.hash.len() {
            let mark = &mut reading.marks[self.hash.first_mark + position];
            if *mark == Mark::Unread {
                *mark = Mark::Whole;
            }
        }
    }

    /// Whether a parameter was sent, be it empty. Does not count as reading it.
    pub fn is_given(&self, name: &'static str) -> bool {
        self.hash.get(name).is_some()
    }

    /// Whether a parameter was sent empty, which asks to unset it. Counts as reading it if so.
    pub fn is_unset(&self, name: &'static str) -> bool {
        let is_unset = self.hash.get(name).is_some_and(is_empty_text);
        if is_unset {
            self.take(name, Mark::Whole);
        }
        is_unset
    }

    /// Refuses parameters of which at most one may be given.
    pub fn at_most_one(&self, names: &[&'static str]) -> Result<(), ApiError> {
        let given: Vec<String> =
            names.iter().filter(|name| self.is_given(name)).map(|name| self.name_of(name)).collect();
        if given.len() < 2 {
            return Ok(());
        }
        Err(ApiError::parameters_exclusive(&given.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// The parameter as it came, with all that is inside.
    pub fn raw(&self, name: &'static str) -> Option<&'a Node> {
        self.note(name, Kind::Text);
        self.note(name, Kind::Hash);
        self.take(name, Mark::Whole)
    }

    pub fn text(&self, name: &'static str) -> Result<Option<&'a str>, ApiError> {
        self.not_empty(name, self.clearable_text(name)?)
    }

    pub fn required_text(&self, name: &'static str) -> Result<&'a str, ApiError> {
        self.required(name, self.text(name)?)
    }

    /// A text with a limit of its own, in characters.
    pub fn text_up_to(&self, name: &'static str, chars_max: usize) -> Result<Option<&'a str>, ApiError> {
        self.not_empty(name, self.clearable_text_up_to(name, chars_max)?)
    }

    pub fn clearable_text(&self, name: &'static str) -> Result<Patch<&'a str>, ApiError> {
        self.clearable_text_up_to(name, TEXT_CHARS_MAX)
    }

    pub fn clearable_text_up_to(&self, name: &'static str, chars_max: usize) -> Result<Patch<&'a str>, ApiError> {
        self.note(name, Kind::Text);
        let text =
            self.scalar(name, |param, node| ApiError::invalid_string(param, &node.describe(DESCRIBE_BYTES_MAX)))?;
        match text {
            None => Ok(Patch::Keep),
            Some("") => Ok(Patch::Clear),
            Some(text) => {
                check_length(text, chars_max, || self.name_of(name))?;
                Ok(Patch::Set(text))
            }
        }
    }

    pub fn integer(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        self.not_empty(name, self.clearable_integer(name)?)
    }

    pub fn required_integer(&self, name: &'static str) -> Result<i64, ApiError> {
        self.required(name, self.integer(name)?)
    }

    /// An integer within bounds, both allowed.
    pub fn integer_within(&self, name: &'static str, least: i64, most: i64) -> Result<Option<i64>, ApiError> {
        match self.integer(name)? {
            Some(value) if value < least => Err(ApiError::integer_below(self.name_of(name), least)),
            Some(value) if value > most => Err(ApiError::integer_above(self.name_of(name), most)),
            value => Ok(value),
        }
    }

    pub fn clearable_integer(&self, name: &'static str) -> Result<Patch<i64>, ApiError> {
        self.note(name, Kind::Integer);
        let text =
            self.scalar(name, |param, node| ApiError::invalid_integer(param, &node.describe(DESCRIBE_BYTES_MAX)))?;
        match text {
            None => Ok(Patch::Keep),
            Some("") => Ok(Patch::Clear),
            Some(text) => match parse_integer(text) {
                Some(value) => Ok(Patch::Set(value)),
                None => Err(ApiError::invalid_integer(self.name_of(name), text)),
            },
        }
    }

    pub fn boolean(&self, name: &'static str) -> Result<Option<bool>, ApiError> {
        self.note(name, Kind::Boolean);
        let text =
            self.scalar(name, |param, node| ApiError::invalid_boolean(param, &node.describe(DESCRIBE_BYTES_MAX)))?;
        match text {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some("") => Err(ApiError::invalid_empty(self.name_of(name))),
            Some(other) => Err(ApiError::invalid_boolean(self.name_of(name), other)),
        }
    }

    /// One of the named choices.
    pub fn one_of<T: Copy>(&self, name: &'static str, choices: &[(&str, T)]) -> Result<Option<T>, ApiError> {
        self.not_empty(name, self.clearable_one_of(name, choices)?)
    }

    pub fn required_one_of<T: Copy>(&self, name: &'static str, choices: &[(&str, T)]) -> Result<T, ApiError> {
        self.required(name, self.one_of(name, choices)?)
    }

    pub fn clearable_one_of<T: Copy>(&self, name: &'static str, choices: &[(&str, T)]) -> Result<Patch<T>, ApiError> {
        self.note(name, Kind::Choice);
        self.note_choices(name, choices);
        let refuse = |param| ApiError::invalid_enum(param, choices.iter().map(|&(choice, _)| choice));
        match self.scalar(name, |param, _| refuse(param))? {
            None => Ok(Patch::Keep),
            Some("") => Ok(Patch::Clear),
            Some(text) => match choices.iter().find(|(choice, _)| *choice == text) {
                Some(&(_, value)) => Ok(Patch::Set(value)),
                None => Err(refuse(self.name_of(name))),
            },
        }
    }

    /// A hash, to be read by a reader of its own.
    pub fn hash(&self, name: &'static str) -> Result<Option<Fields<'a>>, ApiError> {
        self.not_empty(name, self.clearable_hash(name)?)
    }

    pub fn required_hash(&self, name: &'static str) -> Result<Fields<'a>, ApiError> {
        self.required(name, self.hash(name)?)
    }

    pub fn clearable_hash(&self, name: &'static str) -> Result<Patch<Fields<'a>>, ApiError> {
        self.note(name, Kind::Hash);
        match self.take(name, Mark::Opened) {
            None => Ok(Patch::Keep),
            Some(Node::Hash(hash)) => Ok(Patch::Set(self.below(hash, self.name_of(name)))),
            Some(node) if is_empty_text(node) => Ok(Patch::Clear),
            Some(Node::Text(_) | Node::List(_)) => Err(ApiError::invalid_object(self.name_of(name))),
        }
    }

    /// Every entry of this hash as a hash of its own, for hashes whose names are data (capabilities, methods).
    pub fn children(&self) -> Result<Vec<(&'a str, Fields<'a>)>, ApiError> {
        if let Some(notes) = &self.deferred.dry {
            notes.asked(&self.name, Kind::Map);
        }
        let mut children = Vec::with_capacity(self.hash.len());
        for position in 0..self.hash.len() {
            let (name, node) = self.hash.at(position);
            self.reading().marks[self.hash.first_mark + position] = Mark::Opened;
            match node {
                Node::Hash(hash) => children.push((name, self.below(hash, self.name_of(name)))),
                Node::Text(_) | Node::List(_) => return Err(ApiError::invalid_object(self.name_of(name))),
            }
        }
        Ok(children)
    }

    /// A list of texts, in order.
    pub fn texts(&self, name: &'static str) -> Result<Option<Vec<&'a str>>, ApiError> {
        self.not_empty(name, self.clearable_texts(name)?)
    }

    pub fn clearable_texts(&self, name: &'static str) -> Result<Patch<Vec<&'a str>>, ApiError> {
        self.note(name, Kind::Texts);
        self.clearable_list(name, Mark::Whole)?.try_map(|items| {
            items
                .into_iter()
                .map(|(index, node)| {
                    let param = || format!("{}[{index}]", self.name_of(name));
                    match node {
                        Node::Text(text) if text.is_empty() => Err(ApiError::invalid_empty(param())),
                        Node::Text(text) => check_length(text, TEXT_CHARS_MAX, param).map(|()| text.as_str()),
                        other => Err(ApiError::invalid_string(param(), &other.describe(DESCRIBE_BYTES_MAX))),
                    }
                })
                .collect()
        })
    }

    /// A list of named choices, in order.
    pub fn all_of<T: Copy>(&self, name: &'static str, choices: &[(&str, T)]) -> Result<Option<Vec<T>>, ApiError> {
        self.note_choices(name, choices);
        let Some(texts) = self.texts(name)? else { return Ok(None) };
        let mut chosen = Vec::with_capacity(texts.len());
        for (index, text) in texts.into_iter().enumerate() {
            match choices.iter().find(|(choice, _)| *choice == text) {
                Some(&(_, value)) => chosen.push(value),
                None => {
                    let param = format!("{}[{index}]", self.name_of(name));
                    return Err(ApiError::invalid_enum(param, choices.iter().map(|&(choice, _)| choice)));
                }
            }
        }
        Ok(Some(chosen))
    }

    /// A list of hashes, in order, each with a reader of its own.
    pub fn hashes(&self, name: &'static str) -> Result<Option<Vec<Fields<'a>>>, ApiError> {
        self.not_empty(name, self.clearable_hashes(name)?)
    }

    pub fn clearable_hashes(&self, name: &'static str) -> Result<Patch<Vec<Fields<'a>>>, ApiError> {
        self.note(name, Kind::Hashes);
        let items = self.clearable_list(name, Mark::Opened)?;
        // Indexes are names in the tree, with marks of their own.
        if let Some(Node::Hash(indexed)) = self.hash.get(name) {
            self.reading().marks[indexed.first_mark..][..indexed.len()].fill(Mark::Opened);
        }
        items.try_map(|items| {
            items
                .into_iter()
                .map(|(index, node)| {
                    let param = format!("{}[{index}]", self.name_of(name));
                    match node {
                        Node::Hash(hash) => Ok(self.below(hash, param)),
                        Node::Text(_) | Node::List(_) => Err(ApiError::invalid_object(param)),
                    }
                })
                .collect()
        })
    }

    /// The parameter `metadata` of this hash.
    pub fn metadata(&self) -> Result<Option<MetadataPatch>, ApiError> {
        self.metadata_named("metadata")
    }

    pub fn metadata_named(&self, name: &'static str) -> Result<Option<MetadataPatch>, ApiError> {
        self.note(name, Kind::Metadata);
        let hash = match self.take(name, Mark::Whole) {
            None => return Ok(None),
            Some(node) if is_empty_text(node) => return Ok(Some(MetadataPatch::ClearAll)),
            Some(Node::Hash(hash)) => hash,
            Some(Node::Text(_) | Node::List(_)) => return Err(ApiError::invalid_object(self.name_of(name))),
        };
        let param = self.name_of(name);
        if hash.len() > METADATA_KEYS_MAX {
            return Err(too_many_metadata_keys(&param, hash.len()));
        }
        let mut changes = Vec::with_capacity(hash.len());
        for (key, node) in hash.iter() {
            changes.push((key.to_owned(), metadata_value(&param, key, node)?));
        }
        Ok(Some(MetadataPatch::Change(changes)))
    }

    /// A hash with the six lines of an address.
    pub fn address(&self, name: &'static str) -> Result<Patch<AddressPatch<'a>>, ApiError> {
        self.clearable_hash(name)?.try_map(|address| {
            Ok(AddressPatch {
                line1: address.clearable_text("line1")?,
                line2: address.clearable_text("line2")?,
                city: address.clearable_text("city")?,
                state: address.clearable_text("state")?,
                postal_code: address.clearable_text("postal_code")?,
                country: address.clearable_text("country")?,
            })
        })
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        // Marks are plain values: a reader that panicked leaves none of them half written.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn below(&self, hash: &'a Hash, name: String) -> Fields<'a> {
        Fields { hash, name, reading: Arc::clone(&self.reading), deferred: self.deferred.clone() }
    }

    fn note(&self, name: &str, kind: Kind) {
        if let Some(notes) = &self.deferred.dry {
            notes.asked(&self.name_of(name), kind);
        }
    }

    fn note_choices<T>(&self, name: &str, choices: &[(&str, T)]) {
        if let Some(notes) = &self.deferred.dry {
            notes.chosen(&self.name_of(name), choices.iter().map(|(choice, _)| *choice));
        }
    }

    fn note_required(&self, name: &str) {
        if let Some(notes) = &self.deferred.dry {
            notes.required(&self.name_of(name));
        }
    }

    fn take(&self, name: &'static str, mark: Mark) -> Option<&'a Node> {
        let mut reading = self.reading();
        reading.asked.push((self.hash.first_mark, name));
        let position = self.hash.position(name)?;
        reading.marks[self.hash.first_mark + position] = mark;
        Some(self.hash.at(position).1)
    }

    fn scalar(
        &self,
        name: &'static str,
        refuse: impl FnOnce(String, &Node) -> ApiError,
    ) -> Result<Option<&'a str>, ApiError> {
        match self.take(name, Mark::Whole) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(node) => Err(refuse(self.name_of(name), node)),
        }
    }

    fn clearable_list(&self, name: &'static str, mark: Mark) -> Result<Patch<Vec<(usize, &'a Node)>>, ApiError> {
        match self.take(name, mark) {
            None => Ok(Patch::Keep),
            Some(Node::List(items)) => Ok(Patch::Set(items.iter().enumerate().collect())),
            Some(node) if is_empty_text(node) => Ok(Patch::Clear),
            Some(Node::Hash(hash)) => match hash.as_list() {
                Some(items) => Ok(Patch::Set(items)),
                None => Err(ApiError::invalid_array(self.name_of(name))),
            },
            Some(Node::Text(_)) => Err(ApiError::invalid_array(self.name_of(name))),
        }
    }

    fn not_empty<T>(&self, name: &str, patch: Patch<T>) -> Result<Option<T>, ApiError> {
        match patch {
            Patch::Keep => Ok(None),
            Patch::Clear => Err(ApiError::invalid_empty(self.name_of(name))),
            Patch::Set(value) => Ok(Some(value)),
        }
    }

    fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, ApiError> {
        self.note_required(name);
        value.ok_or_else(|| ApiError::missing(self.name_of(name)))
    }
}

fn is_empty_text(node: &Node) -> bool {
    matches!(node, Node::Text(text) if text.is_empty())
}

fn check_length(text: &str, chars_max: usize, param: impl FnOnce() -> String) -> Result<(), ApiError> {
    // Bytes are never fewer than characters, and counting characters is rarely needed.
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(ApiError::text_too_long(param(), text, chars_max));
    }
    Ok(())
}

/// Decimal, with at most a minus in front: no plus, no blanks, no separators, no exponent.
fn parse_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn metadata_value(param: &str, key: &str, node: &Node) -> Result<Option<String>, ApiError> {
    let shown = super::error::echo(key);
    let key_chars = key.chars().count();
    if key_chars > METADATA_KEY_CHARS_MAX {
        let message = format!(
            "Metadata keys can have up to {METADATA_KEY_CHARS_MAX} characters, but you passed in a key that has \
             {key_chars}. Invalid key: {shown}"
        );
        return Err(ApiError::invalid(param, message));
    }
    let Node::Text(value) = node else {
        let message = format!(
            "Metadata values must be texts, but {param}[{shown}] is a hash or a list. Send one key for each value, or \
             write the whole as one text."
        );
        return Err(ApiError::invalid(param, message));
    };
    let value_chars = value.chars().count();
    if value_chars > METADATA_VALUE_CHARS_MAX {
        let message = format!(
            "Metadata values can have up to {METADATA_VALUE_CHARS_MAX} characters, but you passed in a value that has \
             {value_chars}, under the key {shown}."
        );
        return Err(ApiError::invalid(param, message));
    }
    Ok((!value.is_empty()).then(|| value.clone()))
}

fn too_many_metadata_keys(param: &str, count: usize) -> ApiError {
    let message = format!(
        "Metadata can have up to {METADATA_KEYS_MAX} keys, but this would make {count}. Remove a key by sending it \
         with an empty value."
    );
    ApiError::invalid(param, message)
}

struct Leftover<'a> {
    hash: &'a Hash,
    name: &'a str,
    whole: String,
}

fn first_unread<'a>(hash: &'a Hash, prefix: &str, marks: &[Mark]) -> Option<Leftover<'a>> {
    for (position, (name, node)) in hash.iter().enumerate() {
        let whole = || if prefix.is_empty() { name.to_owned() } else { format!("{prefix}[{name}]") };
        match marks[hash.first_mark + position] {
            Mark::Whole => {}
            Mark::Unread => return Some(Leftover { hash, name, whole: whole() }),
            Mark::Opened => match node {
                Node::Text(_) => {}
                Node::Hash(inner) => {
                    if let Some(leftover) = first_unread(inner, &whole(), marks) {
                        return Some(leftover);
                    }
                }
                Node::List(items) => {
                    for (index, item) in items.iter().enumerate() {
                        if let Node::Hash(inner) = item
                            && let Some(leftover) = first_unread(inner, &format!("{}[{index}]", whole()), marks)
                        {
                            return Some(leftover);
                        }
                    }
                }
            },
        }
    }
    None
}

/// The known name that an unknown one was most likely meant to be, if one is close enough.
fn closest(unknown: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if unknown.len() > SUGGEST_BYTES_MAX {
        return None;
    }
    let plain = |name: &str| {
        name.bytes().filter(|byte| !matches!(byte, b'_' | b'-')).map(|b| b.to_ascii_lowercase()).collect::<Vec<u8>>()
    };
    let unknown = plain(unknown);
    // One slip in every three letters, at most two: `custmer` is a customer, `name` is no `line1`.
    let distance_max = (unknown.len() / 3).min(2);
    known
        .map(|name| (edit_distance(&unknown, &plain(name)), name))
        .filter(|&(distance, _)| distance <= distance_max)
        .min()
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one name to the other.
fn edit_distance(from: &[u8], to: &[u8]) -> usize {
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut current = vec![i; to.len() + 1];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            current[j] = replaced.min(last[j] + 1).min(current[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                current[j] = current[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::params::{parse_form, parse_json, tests::content};
    use super::*;

    fn tree(body: &str) -> Tree {
        if body.starts_with('{') { parse_json(body.as_bytes()) } else { parse_form(body.as_bytes()) }
            .unwrap_or_else(|error| panic!("{body}: {error}"))
    }

    /// Message, parameter and code of the refusal.
    fn refusal<T>(body: &str, read: impl FnOnce(&Fields<'_>) -> Result<T, ApiError>) -> (String, String, String) {
        let tree = tree(body);
        let error = read(&Fields::new(&tree)).err().unwrap_or_else(|| panic!("{body} was read"));
        assert_eq!((error.status, error.is_stored(), error.should_retry()), (400, false, None), "{body}");
        let text = |field: Option<&str>| field.unwrap_or_default().to_owned();
        (error.message.to_string(), text(error.param.as_deref()), text(error.code.as_deref()))
    }

    #[test]
    fn each_wrong_value_has_its_error() {
        type Read = fn(&Fields<'_>) -> Result<(), ApiError>;
        const ALLOWED: &[(&str, u8)] = &[("always", 1), ("never", 2)];
        let text: Read = |f| f.text("t").map(drop);
        let short: Read = |f| f.text_up_to("t", 3).map(drop);
        let integer: Read = |f| f.integer("n").map(drop);
        let within: Read = |f| f.integer_within("n", 1, 100).map(drop);
        let boolean: Read = |f| f.boolean("b").map(drop);
        let choice: Read = |f| f.one_of("c", ALLOWED).map(drop);
        let choices: Read = |f| f.all_of("c", ALLOWED).map(drop);
        let hash: Read = |f| f.hash("h").map(drop);
        let texts: Read = |f| f.texts("l").map(drop);
        let hashes: Read = |f| f.hashes("l").map(drop);
        let metadata: Read = |f| f.metadata().map(drop);
        let nested: Read = |f| f.required_hash("h")?.required_integer("n").map(drop);
        let enumerated: Read = |f| f.required_hash("h")?.required_one_of("c", ALLOWED).map(drop);
        let exclusive: Read = |f| f.at_most_one(&["a", "b", "c"]);
        let empty = |name: &str| ApiError::invalid_empty(name).message.to_string();
        let (none, integer_code, missing, is_empty) =
            ("", "parameter_invalid_integer", "parameter_missing", "parameter_invalid_empty");
        let table: Vec<(&str, Read, String, &str, &str)> = vec![
            ("t=", text, empty("t"), "t", is_empty),
            ("t[a]=1&t[b][]=2", text, r#"Invalid string: {"a":"1","b":{"0":"2"}}"#.into(), "t", none),
            ("t[]=1", text, r#"Invalid string: {"0":"1"}"#.into(), "t", none),
            ("t=abcd", short, "Invalid string: abcd; must be at most 3 characters".into(), "t", none),
            ("", |f| f.required_text("currency").map(drop), "Missing required param: currency.".into(), "currency", missing),
            ("currency=", |f| f.required_text("currency").map(drop), empty("currency"), "currency", is_empty),
            ("n=10.5", integer, "Invalid integer: 10.5".into(), "n", integer_code),
            ("n=1e3", integer, "Invalid integer: 1e3".into(), "n", integer_code),
            ("n=1,000", integer, "Invalid integer: 1,000".into(), "n", integer_code),
            ("n=%2B5", integer, "Invalid integer: +5".into(), "n", integer_code),
            ("n=+5", integer, "Invalid integer:  5".into(), "n", integer_code),
            ("n=-", integer, "Invalid integer: -".into(), "n", integer_code),
            ("n=%D9%A1", integer, "Invalid integer: \u{661}".into(), "n", integer_code),
            ("n=9223372036854775808", integer, "Invalid integer: ***************5808".into(), "n", integer_code),
            ("{\"n\":true}", integer, "Invalid integer: true".into(), "n", integer_code),
            ("{\"n\":10.5}", integer, "Invalid integer: 10.5".into(), "n", integer_code),
            ("n=", integer, empty("n"), "n", is_empty),
            ("n[x]=1", integer, r#"Invalid integer: {"x":"1"}"#.into(), "n", integer_code),
            ("n=0", within, "This value must be greater than or equal to 1.".into(), "n", integer_code),
            ("n=101", within, "This value must be less than or equal to 100.".into(), "n", integer_code),
            ("b=x", boolean, "Invalid boolean: x".into(), "b", none),
            ("b=True", boolean, "Invalid boolean: True".into(), "b", none),
            ("b=1", boolean, "Invalid boolean: 1".into(), "b", none),
            ("b=", boolean, empty("b"), "b", is_empty),
            ("b[]=true", boolean, r#"Invalid boolean: {"0":"true"}"#.into(), "b", none),
            ("c=often", choice, "Invalid c: must be one of always or never".into(), "c", none),
            ("c[x]=always", choice, "Invalid c: must be one of always or never".into(), "c", none),
            ("c=", choice, empty("c"), "c", is_empty),
            ("c[]=always&c[]=x", choices, "Invalid c[1]: must be one of always or never".into(), "c[1]", none),
            ("h=1", hash, "Invalid object".into(), "h", none),
            ("h[]=1", hash, "Invalid object".into(), "h", none),
            ("h=", hash, empty("h"), "h", is_empty),
            ("l=1", texts, "Invalid array".into(), "l", none),
            ("l[a]=1", texts, "Invalid array".into(), "l", none),
            ("l[0]=1&l[a]=1", texts, "Invalid array".into(), "l", none),
            ("l[00]=1", texts, "Invalid array".into(), "l", none),
            ("l[9999999999]=1", texts, "Invalid array".into(), "l", none),
            ("l[]=", texts, empty("l[0]"), "l[0]", is_empty),
            ("l[][a]=1", texts, r#"Invalid string: {"a":"1"}"#.into(), "l[0]", none),
            ("l[3][a]=1&l[7]=1", hashes, "Invalid object".into(), "l[7]", none),
            ("l=1", hashes, "Invalid array".into(), "l", none),
            ("h[x]=1", nested, "Missing required param: h[n].".into(), "h[n]", missing),
            ("", nested, "Missing required param: h.".into(), "h", missing),
            ("h[n]=1.0", nested, "Invalid integer: 1.0".into(), "h[n]", integer_code),
            ("h[c]=x", enumerated, "Invalid h[c]: must be one of always or never".into(), "h[c]", none),
            ("a=1&c=", exclusive, "You may only specify one of these parameters: a, c.".into(), "a", "parameters_exclusive"),
            ("metadata=x", metadata, "Invalid object".into(), "metadata", none),
            ("metadata[]=x", metadata, "Invalid object".into(), "metadata", none),
            ("metadata[a][b]=x", metadata, "Metadata values must be texts, but metadata[a] is a hash or a list. Send one key for each value, or write the whole as one text.".into(), "metadata", none),
        ];
        for (body, read, message, param, code) in table {
            assert_eq!(refusal(body, read), (message, param.to_owned(), code.to_owned()), "{body}");
        }
    }

    #[test]
    fn good_values_are_read() {
        let tree = tree(
            "t=caf%C3%A9&zero=0&low=-9223372036854775808&high=9223372036854775807&yes=true&no=false&c=b&gone=\
             &h[x]=1&h[inner][y]=2&l[2]=c&l[0]=a&l[10]=d&many[]=a&many[]=b&items[1][n]=2&items[0][n]=1&cs[]=b&cs[]=a",
        );
        let fields = Fields::new(&tree);
        let choices = [("a", 1), ("b", 2)];
        assert_eq!(fields.required_text("t"), Ok("café"));
        assert_eq!(fields.text("absent"), Ok(None));
        assert_eq!(fields.text_up_to("t", 4), Ok(Some("café")), "counted in characters");
        assert_eq!(fields.required_integer("zero"), Ok(0));
        assert_eq!(fields.integer("low"), Ok(Some(i64::MIN)));
        assert_eq!(fields.integer("high"), Ok(Some(i64::MAX)));
        assert_eq!(fields.integer("absent"), Ok(None));
        assert_eq!(fields.boolean("yes"), Ok(Some(true)));
        assert_eq!(fields.boolean("no"), Ok(Some(false)));
        assert_eq!(fields.boolean("absent"), Ok(None));
        assert_eq!(fields.one_of("c", &choices), Ok(Some(2)));
        assert_eq!(fields.required_one_of("c", &choices), Ok(2));
        assert_eq!(fields.all_of("cs", &choices), Ok(Some(vec![2, 1])));
        assert_eq!(fields.clearable_text("gone"), Ok(Patch::Clear));
        assert_eq!(fields.clearable_integer("gone"), Ok(Patch::Clear));
        assert_eq!(fields.clearable_one_of("gone", &choices), Ok(Patch::Clear));
        assert_eq!(fields.clearable_texts("gone"), Ok(Patch::Clear));
        assert_eq!(fields.clearable_text("absent"), Ok(Patch::Keep));
        assert_eq!(fields.clearable_text("t"), Ok(Patch::Set("café")));
        assert!(fields.is_unset("gone") && !fields.is_unset("t") && !fields.is_unset("absent"));
        assert_eq!(fields.texts("l"), Ok(Some(vec!["a", "c", "d"])), "by number, gaps closed");
        assert_eq!(fields.texts("many"), Ok(Some(vec!["a", "b"])));
        let h = fields.required_hash("h").unwrap();
        assert_eq!(h.text("x"), Ok(Some("1")));
        let inner = h.hash("inner").unwrap().unwrap();
        assert_eq!((inner.integer("y"), inner.name_of("y")), (Ok(Some(2)), "h[inner][y]".to_owned()));
        let items = fields.hashes("items").unwrap().unwrap();
        assert_eq!(items.iter().map(|item| item.required_integer("n").unwrap()).collect::<Vec<_>>(), [1, 2]);
        fields.finish().unwrap();
    }

    #[test]
    fn what_nobody_asked_for_is_refused() {
        fn read(fields: Fields<'_>) -> Result<(), ApiError> {
            fields.required_integer("amount")?;
            fields.text("capture_method")?;
            fields.ignore("radar_options");
            if let Some(transfer_data) = fields.hash("transfer_data")? {
                transfer_data.text("destination")?;
                transfer_data.integer("amount")?;
            }
            for item in fields.hashes("line_items")?.unwrap_or_default() {
                item.text("price")?;
            }
            if let Some(capabilities) = fields.hash("capabilities")? {
                for (_, capability) in capabilities.children()? {
                    capability.boolean("requested")?;
                }
            }
            if let Some(options) = fields.hash("payment_method_options")? {
                options.hash("card")?;
                options.ignore_rest();
            }
            fields.metadata()?;
            fields.finish()
        }
        for (more, refused) in [
            ("", None),
            ("&radar_options[a][b]=1&metadata[x]=y", None),
            ("&transfer_data[destination]=acct_1&capabilities[transfers][requested]=true", None),
            ("&payment_method_options[pix][x]=1&payment_method_options[y]=1", None),
            ("&foo=1", Some("foo")),
            ("&foo=", Some("foo")),
            ("&foo[a]=1&bar=1", Some("foo")),
            ("&foo[]=1", Some("foo")),
            ("&transfer_data[foo]=1", Some("transfer_data[foo]")),
            ("&transfer_data[metadata][x]=1", Some("transfer_data[metadata]")),
            ("&line_items[0][price]=p&line_items[1][x]=1", Some("line_items[1][x]")),
            ("&line_items[][price]=p&line_items[][x]=1", Some("line_items[0][x]")),
            ("&capabilities[transfers][requests]=true", Some("capabilities[transfers][requests]")),
            ("&payment_method_options[card][x]=1", Some("payment_method_options[card][x]")),
            ("&zzz=1&transfer_data[x]=1", Some("zzz")),
            ("&transfer_data[x]=1&zzz=1", Some("transfer_data[x]")),
        ] {
            let tree = tree(&format!("amount=1{more}"));
            let error = read(Fields::new(&tree)).err();
            assert_eq!(error.as_ref().and_then(|error| error.param.as_deref()), refused, "{more}");
            assert!(error.is_none_or(|error| error.code.as_deref() == Some("parameter_unknown")), "{more}");
        }
        for (body, message) in [
            ("ammount=1", "Received unknown parameter: ammount. Did you mean amount?"),
            ("amuont=1", "Received unknown parameter: amuont. Did you mean amount?"),
            ("captureMethod=manual", "Received unknown parameter: captureMethod. Did you mean capture_method?"),
            ("capture-method=manual", "Received unknown parameter: capture-method. Did you mean capture_method?"),
            ("currency=usd", "Received unknown parameter: currency"),
            (
                "transfer_data[destinaton]=a",
                "Received unknown parameter: transfer_data[destinaton]. Did you mean transfer_data[destination]?",
            ),
            (
                "capabilities[transfers][request]=true",
                "Received unknown parameter: capabilities[transfers][request]. Did you mean capabilities[transfers][requested]?",
            ),
        ] {
            let tree = tree(&format!("amount=1&{body}"));
            assert_eq!(read(Fields::new(&tree)).unwrap_err().message, message);
        }
    }

    #[test]
    fn a_hint_is_given_only_for_a_name_that_is_close() {
        let known = || ["customer", "currency", "confirm", "amount", "name", "line1", "line2"].into_iter();
        for (unknown, hint) in [
            ("custmer", Some("customer")),
            ("CUSTOMER", Some("customer")),
            ("curency", Some("currency")),
            ("nmae", Some("name")),
            ("fame", Some("name")),
            ("id", None),
            ("x", None),
            ("", None),
            ("customer_email", None),
        ] {
            assert_eq!(closest(unknown, known()), hint, "{unknown}");
        }
        assert_eq!(closest(&"a".repeat(100_000), known()), None);
    }

    #[test]
    fn metadata_has_limits_and_three_ways_to_change() {
        let read = |body: &str| Fields::new(&tree(body)).metadata();
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("metadata="), Ok(Some(MetadataPatch::ClearAll)));
        assert_eq!(read("{\"metadata\":{}}"), Ok(Some(MetadataPatch::Change(vec![]))));
        let change = read("metadata[b]=1&metadata[a]=&metadata[7]=x").unwrap().unwrap();
        let pair = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        assert_eq!(change, MetadataPatch::Change(vec![pair("b", Some("1")), pair("a", None), pair("7", Some("x"))]));

        let mut metadata = BTreeMap::from([("a".to_owned(), "0".to_owned()), ("c".to_owned(), "0".to_owned())]);
        change.apply_to(&mut metadata).unwrap();
        assert_eq!(metadata.iter().map(|(key, value)| format!("{key}{value}")).collect::<String>(), "7xb1c0");
        assert_eq!(change.into_new().len(), 2);
        MetadataPatch::ClearAll.apply_to(&mut metadata).unwrap();
        assert!(metadata.is_empty());

        let keys = |from: usize, to: usize| (from..to).map(|n| format!("&metadata[k{n}]=v")).collect::<String>();
        let fifty = read(&keys(0, 50)).unwrap().unwrap();
        fifty.apply_to(&mut metadata).unwrap();
        let too_many =
            "Metadata can have up to 50 keys, but this would make 51. Remove a key by sending it with an empty value.";
        assert_eq!(read(&keys(0, 51)).unwrap_err().message, too_many);
        let error = read(&keys(50, 51)).unwrap().unwrap().apply_to(&mut metadata).unwrap_err();
        assert_eq!((&*error.message, metadata.len()), (too_many, 50), "as it was");

        for (key_chars, value_chars, message) in [
            (40, 500, None),
            (41, 1, Some(format!("Metadata keys can have up to 40 characters, but you passed in a key that has 41. Invalid key: {}", "é".repeat(41)))),
            (1, 501, Some("Metadata values can have up to 500 characters, but you passed in a value that has 501, under the key é.".to_owned())),
        ] {
            let body = format!("x[metadata][{}]={}", "é".repeat(key_chars), "é".repeat(value_chars));
            let tree = tree(&body);
            let fields = Fields::new(&tree).required_hash("x").unwrap();
            let error = fields.metadata().err();
            assert_eq!(error.as_ref().map(|error| error.message.to_string()), message);
            assert!(error.is_none_or(|error| error.param.as_deref() == Some("x[metadata]")));
        }
    }

    #[test]
    fn an_address_is_changed_line_by_line() {
        let tree = tree("address[line1]=1+Main+St&address[line2]=&address[country]=US&shipping=&other[lin1]=x");
        let fields = Fields::new(&tree);
        let expected = AddressPatch {
            line1: Patch::Set("1 Main St"),
            line2: Patch::Clear,
            country: Patch::Set("US"),
            ..AddressPatch::default()
        };
        assert_eq!(fields.address("address"), Ok(Patch::Set(expected)));
        assert_eq!(fields.address("shipping"), Ok(Patch::Clear));
        assert_eq!(fields.address("absent"), Ok(Patch::Keep));
        assert!(fields.address("other").is_ok());
        let message = "Received unknown parameter: other[lin1]. Did you mean other[line1]?";
        assert_eq!(fields.finish().unwrap_err().message, message);
    }

    #[test]
    fn a_patch_applies_to_what_was_there() {
        assert_eq!(Patch::Keep.applied_to(Some(1)), Some(1));
        assert_eq!(Patch::Clear.applied_to(Some(1)), None);
        assert_eq!(Patch::Set(2).applied_to(Some(1)), Some(2));
        assert_eq!(
            (Patch::Set(2).value(), Patch::<u8>::Clear.value(), Patch::<u8>::Keep.value()),
            (Some(2), None, None)
        );
        assert_eq!(Patch::Set("7").map(str::len), Patch::Set(1));
        assert!(Patch::<u8>::Keep.is_keep() && !Patch::<u8>::Clear.is_keep());
    }

    #[test]
    fn a_reader_may_live_across_an_await() {
        fn is_free<T: Send + Sync>() {}
        is_free::<Fields<'_>>();
        is_free::<Tree>();
    }

    proptest! {
        #[test]
        fn every_way_of_reading_answers_for_any_content(content in content()) {
            let tree = parse_json(content.to_string().as_bytes()).unwrap();
            let whole = Fields::new(&tree);
            for name in ["a", "b", "c", "d"] {
                let fields = Fields::new(&tree);
                let _ = (fields.text(name), fields.integer(name), fields.boolean(name), fields.one_of(name, &[("a", 1)]));
                let _ = (fields.texts(name), fields.metadata_named(name), fields.address(name), fields.raw(name));
                for item in fields.hashes(name).ok().flatten().unwrap_or_default() {
                    let _ = (item.children(), item.text("a"), item.finish());
                }
                if let Ok(Some(child)) = whole.hash(name) {
                    let _ = child.children();
                }
            }
            let _ = whole.children();
            whole.ignore_rest();
            let _ = whole.finish();
            // Read by nobody, the first parameter is the one refused.
            let first = content.as_object().unwrap().keys().next().cloned();
            let refused = Fields::new(&tree).finish().unwrap_err().param.clone();
            prop_assert_eq!(refused, first);
        }
    }
}
