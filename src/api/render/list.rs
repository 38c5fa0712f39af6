//! Lists: whole pages, and those embedded in an object.

use serde::Serialize;
use serde_json::Value;

/// A list inside an object, or a short page.
#[derive(Serialize)]
pub struct Embedded<T> {
    /// `list`.
    pub object: &'static str,
    /// Newest first.
    pub data: Vec<T>,
    /// Whether there are more.
    pub has_more: bool,
    /// How many there are, where the API says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_count: Option<usize>,
    /// Where the whole list is.
    pub url: String,
}

impl<T> Embedded<T> {
    /// A list of these.
    pub fn new(data: Vec<T>, has_more: bool, url: String) -> Embedded<T> {
        Embedded { object: "list", data, has_more, total_count: None, url }
    }

    /// With the number of all.
    #[must_use]
    pub fn counted(mut self) -> Embedded<T> {
        self.total_count = Some(self.data.len());
        self
    }
}

/// A page of objects that are rendered already.
pub fn page(items: &[Vec<u8>], has_more: bool, url: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.iter().map(|item| item.len() + 1).sum::<usize>() + url.len() + 64);
    out.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item);
    }
    out.extend_from_slice(if has_more { b"],\"has_more\":true,\"url\":" } else { b"],\"has_more\":false,\"url\":" });
    // A text is always written.
    let _ = serde_json::to_writer(&mut out, url);
    out.push(b'}');
    out
}

/// The same as a tree.
pub fn page_tree(items: Vec<Value>, has_more: bool, url: &str) -> Value {
    let mut map = serde_json::Map::new();
    map.insert("object".to_owned(), Value::from("list"));
    map.insert("data".to_owned(), Value::Array(items));
    map.insert("has_more".to_owned(), Value::from(has_more));
    map.insert("url".to_owned(), Value::from(url));
    Value::Object(map)
}
