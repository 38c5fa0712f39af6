//! One parameter tree for form bodies, query strings and JSON bodies.
//!
//! Owns the bracket notation and its limits. Never interprets a value: that is [`super::fields`]. Nothing that was sent
//! is dropped here: a name that cannot be placed is refused with a 400 that names it.
//!
//! Why a parser of our own: form libraries stumble over `%5b`, over `a[][b]` and over mixed arrays, take "empty" and
//! "absent" for one, replace bad UTF-8 without a word, and name only `foo` of `transfer_data[foo]`.
//!
//! How brackets read:
//! - `a[b]=` is a hash. `a[0]=` is a hash too, whose names happen to be indexes: only the reader of a parameter knows
//!   if it wants a list (`expand[0]`) or names (`metadata[0]`), so the names are kept. Read as a list, it is ordered by
//!   index, and gaps close up.
//! - `a[]=` is a list. With `a[][b]=` a new element starts when the last one already has that name.
//! - The same scalar twice: the last one wins, as clients of the wire expect. `a[]` beside `a[0]`, or a scalar beside
//!   brackets, is refused, since one of them would be lost.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;

use super::error::{ApiError, echo};

/// Parameters in one request, counted as `name=value` pairs or JSON values.
pub const PARAMETERS_MAX: usize = 1000;
/// Names on the way to a value: `a[b][c]` has three.
pub const DEPTH_MAX: usize = 8;
/// Bytes of one whole name, brackets included, after percent-decoding.
pub const NAME_BYTES_MAX: usize = 512;
/// Hashes with more names than this get an index; below it, looking through them is faster.
const UNINDEXED_NAMES_MAX: usize = 16;
/// Whole numbers beyond 2^53 do not survive as a JSON number.
const EXACT_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// All parameters of one request.
#[derive(Clone, Default)]
pub struct Tree {
    pub(super) root: Hash,
    /// How many names all hashes have together; readers keep one mark for each.
    pub(super) marks: usize,
}

/// A value, a hash of named nodes, or a list of nodes.
#[derive(Clone)]
pub enum Node {
    /// Numbers and booleans are still text here; empty text asks to unset.
    Text(String),
    Hash(Hash),
    /// From `a[]` or a JSON array. A hash whose names are all indexes is a list as well if read as one.
    List(Vec<Node>),
}

/// Named nodes in the order in which they came.
#[derive(Clone, Default)]
pub struct Hash {
    entries: Vec<(String, Node)>,
    /// Positions by name, once there are too many to look through.
    index: Option<BTreeMap<String, usize>>,
    /// Number of this hash's first name among all names of the tree.
    pub(super) first_mark: usize,
}

/// Reads a body of `application/x-www-form-urlencoded`.
pub fn parse_form(body: &[u8]) -> Result<Tree, ApiError> {
    let mut root = Hash::default();
    let pairs = body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
    for (count, pair) in pairs.enumerate() {
        if count >= PARAMETERS_MAX {
            return Err(too_many());
        }
        let (raw_name, raw_value) = match pair.iter().position(|&byte| byte == b'=') {
            Some(equals) => (&pair[..equals], &pair[equals + 1..]),
            None => (pair, &[][..]),
        };
        let name = decode(raw_name).map_err(|fault| fault.in_name(raw_name))?;
        let path = Path::parse(&name)?;
        let value = decode(raw_value).map_err(|fault| fault.in_value(&name))?;
        path.insert_into(&mut root, value.into_owned())?;
    }
    Ok(Tree::of(root))
}

/// Reads a query string, without its question mark.
pub fn parse_query(query: &str) -> Result<Tree, ApiError> {
    parse_form(query.as_bytes())
}

/// Reads a JSON object. Numbers and booleans become their text, null is the empty text.
pub fn parse_json(body: &[u8]) -> Result<Tree, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Tree::default());
    }
    let reading = JsonReading::default();
    let seed = JsonSeed { reading: &reading, at: None, depth: 0 };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = seed.deserialize(&mut deserializer).and_then(|node| deserializer.end().map(|()| node));
    match (read, reading.refusal.take()) {
        (_, Some(refusal)) => Err(refusal),
        (Ok(Node::Hash(root)), None) => Ok(Tree::of(root)),
        (Ok(Node::Text(_) | Node::List(_)), None) => {
            Err(ApiError::malformed("The JSON body must be an object whose members are the parameters."))
        }
        (Err(error), None) => Err(ApiError::malformed(format!("The body is not valid JSON: {error}."))),
    }
}

impl Tree {
    fn of(mut root: Hash) -> Tree {
        let mut marks = 0;
        root.number(&mut marks);
        Tree { root, marks }
    }

    /// True if no parameter was sent.
    pub fn is_empty(&self) -> bool {
        self.root.entries.is_empty()
    }

    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// What idempotency compares: equal for equal content, in whatever order the names of a hash came and in whichever
    /// encoding. Keyed, so that stored fingerprints tell nothing about card numbers, which have few unknown digits.
    pub fn fingerprint(&self, key: &[u8; 32]) -> [u8; 16] {
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&blake3::keyed_hash(key, &self.canonical()).as_bytes()[..16]);
        fingerprint
    }

    fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        self.root.write_canonical(&mut bytes);
        bytes
    }
}

/// Equal when the fingerprints are.
impl PartialEq for Tree {
    fn eq(&self, other: &Tree) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Tree {}

/// Names only: values may be card numbers, and debug output ends up in logs.
impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Text(text) => write!(f, "<{} bytes>", text.len()),
            Node::Hash(hash) => hash.fmt(f),
            Node::List(items) => f.debug_list().entries(items).finish(),
        }
    }
}

impl Hash {
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.position(name).map(|position| &self.entries[position].1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries.iter().map(|(name, node)| (name.as_str(), node))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(name).copied(),
            None => self.entries.iter().position(|(known, _)| known == name),
        }
    }

    pub(super) fn at(&self, position: usize) -> (&str, &Node) {
        let (name, node) = &self.entries[position];
        (name, node)
    }

    /// The elements in the order of their indexes if every name is one, with the indexes.
    pub(super) fn as_list(&self) -> Option<Vec<(usize, &Node)>> {
        let mut items = Vec::with_capacity(self.entries.len());
        for (name, node) in &self.entries {
            items.push((list_index(name)?, node));
        }
        items.sort_unstable_by_key(|&(index, _)| index);
        Some(items)
    }

    /// The caller has made sure that the name is new.
    fn push(&mut self, name: String, node: Node) {
        let position = self.entries.len();
        if let Some(index) = &mut self.index {
            index.insert(name.clone(), position);
        } else if position == UNINDEXED_NAMES_MAX {
            let known = self.entries.iter().map(|(name, _)| name.clone());
            let index = known.chain([name.clone()]).enumerate().map(|(position, name)| (name, position)).collect();
            self.index = Some(index);
        }
        self.entries.push((name, node));
    }

    fn number(&mut self, next: &mut usize) {
        self.first_mark = *next;
        *next += self.entries.len();
        for (_, node) in &mut self.entries {
            node.number(next);
        }
    }

    fn write_canonical(&self, bytes: &mut Vec<u8>) {
        // Indexes without gaps are what a list would have had, so both are written alike.
        if let Some(items) = self.as_list().filter(|items| !items.is_empty())
            && items.iter().enumerate().all(|(position, &(index, _))| position == index)
        {
            write_list(items.len(), items.iter().map(|&(_, node)| node), bytes);
            return;
        }
        let mut entries: Vec<&(String, Node)> = self.entries.iter().collect();
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        write_head(b'h', entries.len(), bytes);
        for (name, node) in entries {
            write_text(name, bytes);
            node.write_canonical(bytes);
        }
    }
}

impl Node {
    fn number(&mut self, next: &mut usize) {
        match self {
            Node::Text(_) => {}
            Node::Hash(hash) => hash.number(next),
            Node::List(items) => items.iter_mut().for_each(|item| item.number(next)),
        }
    }

    fn write_canonical(&self, bytes: &mut Vec<u8>) {
        match self {
            Node::Text(text) => write_text(text, bytes),
            Node::Hash(hash) => hash.write_canonical(bytes),
            Node::List(items) => write_list(items.len(), items.iter(), bytes),
        }
    }

    /// JSON for error texts, lists as hashes of indexes as the wire shows them; stops soon after `bytes_max`.
    pub(super) fn describe(&self, bytes_max: usize) -> String {
        let mut json = String::new();
        self.describe_into(&mut json, bytes_max);
        json
    }

    fn describe_into(&self, json: &mut String, bytes_max: usize) {
        match self {
            Node::Text(text) => {
                let text: String = text.chars().take(bytes_max).collect();
                json.push_str(&serde_json::Value::String(text).to_string());
            }
            Node::Hash(hash) => describe_members(hash.iter(), json, bytes_max),
            Node::List(items) => {
                let names: Vec<String> = (0..items.len().min(bytes_max)).map(|index| index.to_string()).collect();
                describe_members(names.iter().map(String::as_str).zip(items), json, bytes_max);
            }
        }
    }
}

fn describe_members<'a>(members: impl Iterator<Item = (&'a str, &'a Node)>, json: &mut String, bytes_max: usize) {
    json.push('{');
    for (position, (name, node)) in members.enumerate() {
        if json.len() > bytes_max {
            break;
        }
        if position > 0 {
            json.push(',');
        }
        json.push_str(&serde_json::Value::String(name.to_owned()).to_string());
        json.push(':');
        node.describe_into(json, bytes_max);
    }
    json.push('}');
}

// Every part carries its kind and its length, so no two trees share an encoding.
fn write_head(kind: u8, len: usize, bytes: &mut Vec<u8>) {
    let mut head = [kind; 9];
    head[1..].copy_from_slice(&(len as u64).to_le_bytes());
    bytes.extend_from_slice(&head);
}

fn write_text(text: &str, bytes: &mut Vec<u8>) {
    write_head(b't', text.len(), bytes);
    bytes.extend_from_slice(text.as_bytes());
}

fn write_list<'a>(len: usize, items: impl Iterator<Item = &'a Node>, bytes: &mut Vec<u8>) {
    write_head(b'l', len, bytes);
    for item in items {
        item.write_canonical(bytes);
    }
}

/// The index that a name stands for: decimal without leading zeros. Nine digits are more than anyone sends, and no
/// memory is laid out by index.
fn list_index(name: &str) -> Option<usize> {
    let is_index = matches!(name.as_bytes(), [b'0'] | [b'1'..=b'9', ..])
        && name.len() <= 9
        && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_index { name.parse().ok() } else { None }
}

/// A name taken apart: `a[b][]` is `a`, then `b`, then an append.
struct Path<'a> {
    whole: &'a str,
    first: &'a str,
    rest: SmallVec<[Step<'a>; DEPTH_MAX]>,
}

#[derive(Clone, Copy, PartialEq)]
enum Step<'a> {
    Name(&'a str),
    Append,
}

impl<'a> Path<'a> {
    fn parse(whole: &'a str) -> Result<Path<'a>, ApiError> {
        let refuse =
            |why: &str| Err(ApiError::invalid(echo(whole), format!("Invalid parameter name: {}: {why}.", echo(whole))));
        if whole.len() > NAME_BYTES_MAX {
            return refuse(&format!("names have at most {NAME_BYTES_MAX} bytes"));
        }
        let first_end = whole.find(['[', ']']).unwrap_or(whole.len());
        let (first, mut brackets) = whole.split_at(first_end);
        if first.is_empty() {
            return refuse("the name before the brackets is empty");
        }
        let mut rest = SmallVec::new();
        while !brackets.is_empty() {
            let Some(open) = brackets.strip_prefix('[') else {
                return refuse("brackets must follow each other like a[b][c]");
            };
            let Some((inside, after)) = open.split_once(']') else {
                return refuse("a bracket is not closed");
            };
            if inside.contains('[') {
                return refuse("brackets cannot stand inside each other");
            }
            let step = if inside.is_empty() { Step::Append } else { Step::Name(inside) };
            if step == Step::Append && rest.last() == Some(&Step::Append) {
                return refuse("a list directly inside a list needs indexes");
            }
            rest.push(step);
            if rest.len() >= DEPTH_MAX {
                return refuse(&format!("parameters nest at most {DEPTH_MAX} deep"));
            }
            brackets = after;
        }
        Ok(Path { whole, first, rest })
    }

    fn insert_into(&self, root: &mut Hash, value: String) -> Result<(), ApiError> {
        self.put_named(root, self.first, &self.rest, value)
    }

    fn put_named(&self, hash: &mut Hash, name: &str, rest: &[Step<'_>], value: String) -> Result<(), ApiError> {
        match hash.position(name) {
            Some(position) => self.put(&mut hash.entries[position].1, rest, value),
            None => {
                hash.push(name.to_owned(), fresh(rest, value));
                Ok(())
            }
        }
    }

    fn put(&self, node: &mut Node, rest: &[Step<'_>], value: String) -> Result<(), ApiError> {
        match (node, rest.split_first()) {
            (Node::Text(text), None) => {
                *text = value;
                Ok(())
            }
            (Node::Hash(hash), Some((Step::Name(name), rest))) => self.put_named(hash, name, rest, value),
            (Node::List(items), Some((Step::Append, rest))) => {
                match items.last_mut() {
                    Some(last @ Node::Hash(_)) if !rest.is_empty() && !has(last, rest) => {
                        return self.put(last, rest, value);
                    }
                    _ => items.push(fresh(rest, value)),
                }
                Ok(())
            }
            (there, next) => {
                let earlier = match there {
                    Node::Text(_) => "a single value",
                    Node::Hash(_) => "a hash with names or indexes",
                    Node::List(_) => "a list with empty brackets",
                };
                let now = match next {
                    None => "a single value",
                    Some((Step::Name(_), _)) => "a hash with names or indexes",
                    Some((Step::Append, _)) => "a list with empty brackets",
                };
                let name = echo(self.whole);
                let message = format!(
                    "Conflicting parameter: {name} is {now} here, but an earlier parameter made it {earlier}. Use one \
                     form throughout."
                );
                Err(ApiError::invalid(name, message))
            }
        }
    }
}

/// The node for what is left of a path that leads to new ground.
fn fresh(rest: &[Step<'_>], value: String) -> Node {
    rest.iter().rev().fold(Node::Text(value), |inner, step| match step {
        Step::Append => Node::List(vec![inner]),
        Step::Name(name) => {
            let mut hash = Hash::default();
            hash.push((*name).to_owned(), inner);
            Node::Hash(hash)
        }
    })
}

/// Whether the place at the end of the path is taken, so that a list must start its next element.
fn has(node: &Node, rest: &[Step<'_>]) -> bool {
    let mut node = node;
    for step in rest {
        match (node, step) {
            (Node::Hash(hash), Step::Name(name)) => match hash.get(name) {
                Some(inner) => node = inner,
                None => return false,
            },
            _ => return false,
        }
    }
    true
}

enum DecodeFault {
    Percent,
    Utf8,
}

impl DecodeFault {
    fn in_name(&self, raw_name: &[u8]) -> ApiError {
        let shown = echo(&String::from_utf8_lossy(&raw_name[..raw_name.len().min(NAME_BYTES_MAX)]));
        ApiError::malformed(format!("Invalid parameter name: {shown}: {}.", self.reason()))
    }

    fn in_value(&self, name: &str) -> ApiError {
        let name = echo(name);
        let message = format!("Invalid value of {name}: {}.", self.reason());
        ApiError::invalid(name, message)
    }

    fn reason(&self) -> &'static str {
        match self {
            DecodeFault::Percent => {
                "a percent sign must be followed by two hexadecimal digits; write %25 for the sign itself"
            }
            DecodeFault::Utf8 => "the bytes are not valid UTF-8; encode text as UTF-8 before percent-encoding it",
        }
    }
}

/// Undoes the form encoding. UTF-8 is checked on the bytes: looking for U+FFFD would take a sent one for a fault.
fn decode(raw: &[u8]) -> Result<Cow<'_, str>, DecodeFault> {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return std::str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| DecodeFault::Utf8);
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(DecodeFault::Percent),
            },
            plain => plain,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| DecodeFault::Utf8)
}

fn hex_digit(byte: &u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn too_many() -> ApiError {
    ApiError::malformed(format!("Too many parameters: a request has at most {PARAMETERS_MAX}."))
}

/// What all parts of one JSON reading share. The refusal is kept here because the JSON reader's own error type can
/// only carry text.
#[derive(Default)]
struct JsonReading {
    values: Cell<usize>,
    refusal: RefCell<Option<ApiError>>,
}

impl JsonReading {
    fn refuse<E: serde::de::Error>(&self, refusal: ApiError) -> E {
        self.refusal.borrow_mut().get_or_insert(refusal);
        E::custom("refused")
    }
}

/// Where in the body a value stands; a chain on the stack, spelled out only for an error.
struct JsonPlace<'a> {
    above: Option<&'a JsonPlace<'a>>,
    step: JsonStep<'a>,
}

enum JsonStep<'a> {
    Name(&'a str),
    Index(usize),
}

impl JsonPlace<'_> {
    fn name(&self) -> String {
        let step = match self.step {
            JsonStep::Name(name) => Cow::Borrowed(name),
            JsonStep::Index(index) => Cow::Owned(index.to_string()),
        };
        match self.above {
            Some(above) => format!("{}[{step}]", above.name()),
            None => step.into_owned(),
        }
    }
}

#[derive(Clone, Copy)]
struct JsonSeed<'a> {
    reading: &'a JsonReading,
    at: Option<&'a JsonPlace<'a>>,
    depth: usize,
}

impl JsonSeed<'_> {
    fn name(&self) -> String {
        self.at.map(|place| echo(&place.name())).unwrap_or_default()
    }
}

impl<'de> DeserializeSeed<'de> for JsonSeed<'_> {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        // The body itself is not a parameter.
        if self.depth > 0 {
            let values = self.reading.values.get() + 1;
            self.reading.values.set(values);
            if values > PARAMETERS_MAX {
                return Err(self.reading.refuse(too_many()));
            }
        }
        if self.depth > DEPTH_MAX {
            let name = self.name();
            let message = format!("Invalid parameter name: {name}: parameters nest at most {DEPTH_MAX} deep.");
            return Err(self.reading.refuse(ApiError::invalid(name, message)));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        Ok(Node::Text(String::new()))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        if value.abs() < EXACT_FLOAT_MAX {
            return Ok(Node::Text(value.to_string()));
        }
        let name = self.name();
        let message = format!("Invalid number: {name} is too large to be exact as a JSON number; send it as a string.");
        Err(self.reading.refuse(ApiError::invalid(name, message)))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        loop {
            let place = JsonPlace { above: self.at, step: JsonStep::Index(items.len()) };
            let seed = JsonSeed { reading: self.reading, at: Some(&place), depth: self.depth + 1 };
            match elements.next_element_seed(seed)? {
                Some(item) => items.push(item),
                None => return Ok(Node::List(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut hash = Hash::default();
        while let Some(name) = members.next_key::<String>()? {
            let place = JsonPlace { above: self.at, step: JsonStep::Name(&name) };
            let refuse = |why: String| {
                let whole = echo(&place.name());
                let message = format!("Invalid parameter name: {whole}: {why}.");
                self.reading.refuse(ApiError::invalid(whole, message))
            };
            if name.is_empty() {
                return Err(refuse("the name is empty".to_owned()));
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(refuse(format!("names have at most {NAME_BYTES_MAX} bytes")));
            }
            if name.contains(['[', ']']) {
                return Err(refuse("in a JSON body, nest objects instead of writing brackets".to_owned()));
            }
            if hash.position(&name).is_some() {
                return Err(refuse("it is given twice".to_owned()));
            }
            let seed = JsonSeed { reading: self.reading, at: Some(&place), depth: self.depth + 1 };
            let node = members.next_value_seed(seed)?;
            hash.push(name, node);
        }
        Ok(Node::Hash(hash))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The tree as JSON, hashes with index names shown as they are: what the tables below compare.
    fn shape(node: &Node) -> Value {
        match node {
            Node::Text(text) => Value::String(text.clone()),
            Node::Hash(hash) => shape_of(hash),
            Node::List(items) => items.iter().map(shape).collect(),
        }
    }

    fn shape_of(hash: &Hash) -> Value {
        Value::Object(hash.iter().map(|(name, node)| (name.to_owned(), shape(node))).collect())
    }

    fn form(body: &str) -> Tree {
        parse_form(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
    }

    #[test]
    fn forms_that_are_read() {
        for (body, expected) in [
            ("", json!({})),
            ("&&", json!({})),
            ("a=1", json!({"a": "1"})),
            ("a", json!({"a": ""})),
            ("a=", json!({"a": ""})),
            ("a=b=c", json!({"a": "b=c"})),
            ("a=1&&b=2&", json!({"a": "1", "b": "2"})),
            ("a=1&a=2", json!({"a": "2"})),
            ("a=x+y%20z%2B", json!({"a": "x y z+"})),
            ("a=%e2%82%AC", json!({"a": "€"})),
            ("a=%EF%BF%BD", json!({"a": "\u{fffd}"})),
            ("a=%00", json!({"a": "\0"})),
            ("na%6de=1", json!({"name": "1"})),
            ("metadata[order]=7", json!({"metadata": {"order": "7"}})),
            ("metadata%5Border%5D=7", json!({"metadata": {"order": "7"}})),
            ("metadata%5border%5d=7", json!({"metadata": {"order": "7"}})),
            ("metadata[a b]=7&metadata[c+d]=8", json!({"metadata": {"a b": "7", "c d": "8"}})),
            ("metadata[6735]=x", json!({"metadata": {"6735": "x"}})),
            ("a[b]=1&a[c]=2&a[b]=3", json!({"a": {"b": "3", "c": "2"}})),
            ("a[b][c][d]=1&a[b][e]=2", json!({"a": {"b": {"c": {"d": "1"}, "e": "2"}}})),
            ("expand[]=a&expand[]=b", json!({"expand": ["a", "b"]})),
            ("expand%5B%5D=a", json!({"expand": ["a"]})),
            ("expand[0]=a&expand[1]=b", json!({"expand": {"0": "a", "1": "b"}})),
            ("l[0][p][c]=usd&l[0][q]=2&l[1][q]=3", json!({"l": {"0": {"p": {"c": "usd"}, "q": "2"}, "1": {"q": "3"}}})),
            ("l[][a]=1&l[][b]=2&l[][a]=3&l[][b]=4", json!({"l": [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]})),
            ("l[][a][x]=1&l[][a][y]=2&l[][a][x]=3", json!({"l": [{"a": {"x": "1", "y": "2"}}, {"a": {"x": "3"}}]})),
            ("l[][a][]=1&l[][a][]=2", json!({"l": [{"a": ["1", "2"]}]})),
            ("l[]=1&l[][a]=2&l[]=3", json!({"l": ["1", {"a": "2"}, "3"]})),
            ("l[0][]=1&l[0][]=2", json!({"l": {"0": ["1", "2"]}})),
        ] {
            assert_eq!(shape_of(form(body).root()), expected, "{body}");
            assert_eq!(parse_query(body).unwrap(), form(body), "{body}");
        }
    }

    #[test]
    fn forms_that_are_refused() {
        let conflict = |name: &str, now: &str, earlier: &str| {
            format!(
                "Conflicting parameter: {name} is {now} here, but an earlier parameter made it {earlier}. Use one form \
                 throughout."
            )
        };
        let (value, hash, list) = ("a single value", "a hash with names or indexes", "a list with empty brackets");
        let name = |name: &str, why: &str| format!("Invalid parameter name: {name}: {why}.");
        let percent = "a percent sign must be followed by two hexadecimal digits; write %25 for the sign itself";
        let utf8 = "the bytes are not valid UTF-8; encode text as UTF-8 before percent-encoding it";
        let deep = "a[b][c][d][e][f][g][h][i]";
        for (body, param, message) in [
            ("=1", "", name("", "the name before the brackets is empty")),
            ("[a]=1", "[a]", name("[a]", "the name before the brackets is empty")),
            ("a[b=1", "a[b", name("a[b", "a bracket is not closed")),
            ("a]=1", "a]", name("a]", "brackets must follow each other like a[b][c]")),
            ("a[b]c=1", "a[b]c", name("a[b]c", "brackets must follow each other like a[b][c]")),
            ("a[b]]=1", "a[b]]", name("a[b]]", "brackets must follow each other like a[b][c]")),
            ("a[[b]]=1", "a[[b]]", name("a[[b]]", "brackets cannot stand inside each other")),
            ("a[][]=1", "a[][]", name("a[][]", "a list directly inside a list needs indexes")),
            (&format!("{deep}=1"), deep, name(deep, "parameters nest at most 8 deep")),
            ("a=1&a[b]=2", "a[b]", conflict("a[b]", hash, value)),
            ("a[b]=1&a=2", "a", conflict("a", value, hash)),
            ("a=1&a[]=2", "a[]", conflict("a[]", list, value)),
            ("a[]=1&a[0]=2", "a[0]", conflict("a[0]", hash, list)),
            ("a[0]=1&a[]=2", "a[]", conflict("a[]", list, hash)),
            ("a[][b]=1&a[][b][c]=2", "a[][b][c]", conflict("a[][b][c]", hash, value)),
            ("a=%", "a", format!("Invalid value of a: {percent}.")),
            ("a=100%+wool", "a", format!("Invalid value of a: {percent}.")),
            ("a=%4", "a", format!("Invalid value of a: {percent}.")),
            ("a=%+1", "a", format!("Invalid value of a: {percent}.")),
            ("a[b]=%FF", "a[b]", format!("Invalid value of a[b]: {utf8}.")),
            ("a=%ED%A0%80", "a", format!("Invalid value of a: {utf8}.")),
            ("a=%C0%AF", "a", format!("Invalid value of a: {utf8}.")),
        ] {
            let error = parse_form(body.as_bytes()).expect_err(body);
            assert_eq!((error.param.as_deref(), &*error.message), (Some(param), message.as_str()), "{body}");
            assert_eq!((error.status, error.is_stored()), (400, false), "{body}");
        }
        for (body, message) in [
            (&b"%zz=1"[..], name("%zz", percent)),
            (b"a%ff=1", name("a%ff", utf8)),
            (b"a\xff=1", name("a\u{fffd}", utf8)),
            (b"a=\xff", format!("Invalid value of a: {utf8}.")),
        ] {
            assert_eq!(parse_form(body).unwrap_err().message, message);
        }
    }

    #[test]
    fn limits_hold_and_what_is_within_them_is_read() {
        let pairs = |count: usize| (0..count).map(|n| format!("p{n}={n}")).collect::<Vec<_>>().join("&");
        let tree = form(&pairs(PARAMETERS_MAX));
        assert_eq!(tree.root().len(), PARAMETERS_MAX);
        for n in 0..PARAMETERS_MAX {
            assert!(matches!(tree.root().get(&format!("p{n}")), Some(Node::Text(text)) if *text == n.to_string()));
        }
        let too_many = "Too many parameters: a request has at most 1000.";
        assert_eq!(parse_form(pairs(PARAMETERS_MAX + 1).as_bytes()).unwrap_err().message, too_many);
        assert_eq!(parse_json(json!({"a": vec![1; 1000]}).to_string().as_bytes()).unwrap_err().message, too_many);
        assert!(parse_json(json!({"a": vec![1; 999]}).to_string().as_bytes()).is_ok());

        assert!(parse_form(b"a[b][c][d][e][f][g][h]=1").is_ok());
        let long = "x".repeat(NAME_BYTES_MAX);
        assert!(parse_form(format!("{long}=1").as_bytes()).is_ok());
        let error = parse_form(format!("{long}x=1").as_bytes()).unwrap_err();
        assert!(error.message.ends_with("names have at most 512 bytes."), "{error}");
        assert!(error.message.len() < 300);
    }

    #[test]
    fn json_that_is_read() {
        for (body, expected) in [
            ("", json!({})),
            (" \n", json!({})),
            ("{}", json!({})),
            (
                r#"{"a": "x", "b": 7, "c": true, "d": null, "e": 10.5, "f": -3}"#,
                json!({"a": "x", "b": "7", "c": "true", "d": "", "e": "10.5", "f": "-3"}),
            ),
            (
                r#"{"a": 18446744073709551615, "b": 0.1, "c": 1e3}"#,
                json!({"a": "18446744073709551615", "b": "0.1", "c": "1000"}),
            ),
            (
                r#"{"l": [{"p": {"c": "usd"}}, "x", []], "h": {}}"#,
                json!({"l": [{"p": {"c": "usd"}}, "x", []], "h": {}}),
            ),
            (
                r#"{"a": {"b": {"c": {"d": {"e": {"f": {"g": {}}}}}}}}"#,
                json!({"a": {"b": {"c": {"d": {"e": {"f": {"g": {}}}}}}}}),
            ),
        ] {
            let tree = parse_json(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!(shape_of(tree.root()), expected, "{body}");
        }
    }

    #[test]
    fn json_that_is_refused() {
        for (body, param, message) in [
            ("[]", None, "The JSON body must be an object whose members are the parameters."),
            ("7", None, "The JSON body must be an object whose members are the parameters."),
            ("{", None, "The body is not valid JSON: EOF while parsing an object at line 1 column 1."),
            ("{} x", None, "The body is not valid JSON: trailing characters at line 1 column 4."),
            ("a=1", None, "The body is not valid JSON: expected value at line 1 column 1."),
            (r#"{"a": 1, "a": 2}"#, Some("a"), "Invalid parameter name: a: it is given twice."),
            (r#"{"x": [{"a": 1, "a": 2}]}"#, Some("x[0][a]"), "Invalid parameter name: x[0][a]: it is given twice."),
            (r#"{"": 1}"#, Some(""), "Invalid parameter name: : the name is empty."),
            (
                r#"{"a[b]": 1}"#,
                Some("a[b]"),
                "Invalid parameter name: a[b]: in a JSON body, nest objects instead of writing brackets.",
            ),
            (
                r#"{"a": 1e20}"#,
                Some("a"),
                "Invalid number: a is too large to be exact as a JSON number; send it as a string.",
            ),
            (r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1}}}}}}}}"#, None, ""),
            (
                r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":1}}}}}}}}}"#,
                Some("a[b][c][d][e][f][g][h][i]"),
                "Invalid parameter name: a[b][c][d][e][f][g][h][i]: parameters nest at most 8 deep.",
            ),
        ] {
            match parse_json(body.as_bytes()) {
                Ok(_) => assert_eq!(message, "", "{body} was read"),
                Err(error) => assert_eq!((error.param.as_deref(), &*error.message), (param, message), "{body}"),
            }
        }
        let hostile = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert!(parse_json(hostile.as_bytes()).unwrap_err().message.contains("nest at most 8 deep"));
        assert!(parse_json(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn the_fingerprint_sees_content_and_nothing_else() {
        let print = |body: &str| form(body).fingerprint(&[7; 32]);
        let same = [
            ("a=1&b=2", "b=2&a=1"),
            ("a[x]=1&b=2&a[y]=3", "a[y]=3&a[x]=1&b=2"),
            ("l[0]=x&l[1]=y", "l[1]=y&l[0]=x"),
            ("l[0]=x&l[1]=y", "l[]=x&l[]=y"),
            ("a=1&a=2", "a=2"),
            ("a%5Bb%5D=c+d", "a[b]=c%20d"),
        ];
        for (left, right) in same {
            assert_eq!(print(left), print(right), "{left} {right}");
        }
        let different = [
            ("a=1", "a=2"),
            ("a=1", "a=1&b="),
            ("a=", ""),
            ("a=bc", "ab=c"),
            ("l[]=x&l[]=y", "l[]=y&l[]=x"),
            ("l[]=xy", "l[]=x&l[]=y"),
            ("a[b]=1&a[c]=2", "a[b]=2&a[c]=1"),
            ("a[b]=1", "a[]=1"),
            ("metadata[5]=x", "metadata[0]=x"),
            ("a[b]=&c=", "a[b]=&a[c]="),
        ];
        for (left, right) in different {
            assert_ne!(print(left), print(right), "{left} {right}");
        }
        assert_ne!(form("a=1").fingerprint(&[7; 32]), form("a=1").fingerprint(&[8; 32]), "keyed");
    }

    #[test]
    fn debug_output_shows_names_and_no_values() {
        let tree = form("card[number]=4242424242424242&expand[]=x");
        assert_eq!(format!("{tree:?}"), r#"{"card": {"number": <16 bytes>}, "expand": [<1 bytes>]}"#);
    }

    /// Nodes and bytes of text, to see that neither grows beyond what was sent.
    fn weigh(node: &Node) -> (usize, usize) {
        let add = |(nodes, bytes): (usize, usize), (more_nodes, more_bytes)| (nodes + more_nodes, bytes + more_bytes);
        match node {
            Node::Text(text) => (1, text.len()),
            Node::Hash(hash) => {
                hash.iter().fold((1, 0), |sum, (name, node)| add(add(sum, (0, name.len())), weigh(node)))
            }
            Node::List(items) => items.iter().fold((1, 0), |sum, node| add(sum, weigh(node))),
        }
    }

    fn assert_bounded(tree: &Tree, sent: usize) {
        let (nodes, bytes) = weigh(&Node::Hash(tree.root.clone()));
        assert!(nodes <= 1 + PARAMETERS_MAX * DEPTH_MAX && bytes <= sent, "{nodes} nodes, {bytes} bytes from {sent}");
    }

    /// Content that both encodings can carry: names without brackets, no empty hashes or lists.
    pub fn content() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[a-z]{0,6}", "\\PC{0,6}", Just("&=%+[]".to_owned()), Just("\u{fffd}".to_owned())];
        let scalar = prop_oneof![
            text.prop_map(Value::String),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null)
        ];
        let node = scalar.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![members(inner.clone()), prop::collection::vec(inner, 1..4).prop_map(Value::Array)]
        });
        members(node)
    }

    fn members(node: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        let name = prop_oneof!["[a-d]", "[a-z_]{1,8}", "[é&=%+ .]{1,3}"];
        prop::collection::vec((name, node), 1..5).prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    /// The content as pairs of a form, not encoded yet.
    fn pairs(prefix: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}[{name}]") };
                    self::pairs(&name, value, pairs);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    self::pairs(&format!("{prefix}[{index}]"), value, pairs);
                }
            }
            Value::Null => pairs.push((prefix.to_owned(), String::new())),
            Value::String(text) => pairs.push((prefix.to_owned(), text.clone())),
            other => pairs.push((prefix.to_owned(), other.to_string())),
        }
    }

    pub fn form_of(value: &Value) -> Vec<(String, String)> {
        let mut all = Vec::new();
        pairs("", value, &mut all);
        all
    }

    fn encode(pairs: &[(String, String)]) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            for read in [parse_form(&bytes), parse_json(&bytes)].into_iter().flatten() {
                assert_bounded(&read, bytes.len());
                read.fingerprint(&[0; 32]);
            }
        }

        #[test]
        fn what_nearly_is_a_form_is_read_or_refused(body in "([ab01\\[\\]=&%+é]|%5[bB]|%5[dD]|\\[\\]|&){0,200}") {
            if let Ok(tree) = parse_query(&body) {
                assert_bounded(&tree, body.len());
            }
        }

        #[test]
        fn what_nearly_is_json_is_read_or_refused(body in "\\{([{}\\[\\]:,]|\"a\":|\"b\"|\\[\\{|[0-9]{1,25}|null|1e9|\\\\u00){0,60}\\}?") {
            if let Ok(tree) = parse_json(body.as_bytes()) {
                assert_bounded(&tree, 25 * body.len());
            }
        }

        #[test]
        fn names_and_values_come_through(name in "[^\\[\\]]{1,20}", value in any::<String>()) {
            let tree = form(&encode(&[(name.clone(), value.clone())]));
            prop_assert_eq!(shape_of(tree.root()), json!({ name: value }));
        }

        #[test]
        fn json_and_form_of_the_same_content_are_equal(content in content()) {
            let from_form = form(&encode(&form_of(&content)));
            let from_json = parse_json(content.to_string().as_bytes()).unwrap();
            prop_assert_eq!(from_form.fingerprint(&[1; 32]), from_json.fingerprint(&[1; 32]));
            prop_assert!(from_form == from_json);
        }

        #[test]
        fn the_order_of_names_does_not_matter(pairs in content().prop_map(|c| form_of(&c)).prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle()))) {
            let (sent, shuffled) = pairs;
            prop_assert!(form(&encode(&sent)) == form(&encode(&shuffled)));
        }
    }

    /// Each of these would take minutes if any step were quadratic in the body.
    #[test]
    fn hostile_bodies_cost_no_more_than_their_size() {
        let many = |pair: &str| format!("{pair}&").repeat(999);
        for body in [
            "&".repeat(5_000_000),
            "[".repeat(5_000_000),
            "a[".repeat(2_000_000),
            "%5B".repeat(1_000_000),
            format!("a={}", "%".repeat(5_000_000)),
            format!("a={}", "%41".repeat(1_000_000)),
            format!("{}=1", "a".repeat(5_000_000)),
            "a=1&".repeat(1_000_000),
            many("a[][b][c][d][e][f][g]=1"),
            many("a[][b][c][d][e][f][]=1"),
            (0..999).map(|n| format!("{}{n}[]=1&", "x".repeat(300))).collect(),
        ] {
            let started = std::time::Instant::now();
            if let Ok(tree) = parse_form(body.as_bytes()) {
                assert_bounded(&tree, body.len());
                tree.fingerprint(&[0; 32]);
            }
            assert!(started.elapsed().as_secs() < 2, "{}", &body[..40]);
        }
    }
}
