//! Lists: which page, and the ranges that filter it.

use super::error::{ApiError, Place};
use super::fields::Fields;
use super::params::Node;

pub const LIMIT_DEFAULT: usize = 10;
pub const LIMIT_MAX: usize = 100;

/// Which part of a list is wanted; the newest comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub limit: usize,
    pub cursor: Cursor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// From the newest on.
    None,
    /// The ones just older than this id.
    StartingAfter(String),
    /// The ones just newer than this id, still newest first.
    EndingBefore(String),
}

impl Page {
    pub fn parse(fields: &Fields<'_>) -> Result<Page, ApiError> {
        let limit = match fields.integer_within("limit", 1, LIMIT_MAX as i64)? {
            Some(limit) => usize::try_from(limit).unwrap_or(LIMIT_MAX),
            None => LIMIT_DEFAULT,
        };
        let cursor = match (fields.text("starting_after")?, fields.text("ending_before")?) {
            (None, None) => Cursor::None,
            (Some(id), None) => Cursor::StartingAfter(id.to_owned()),
            (None, Some(id)) => Cursor::EndingBefore(id.to_owned()),
            (Some(_), Some(_)) => return Err(ApiError::both_cursors()),
        };
        Ok(Page { limit, cursor })
    }
}

impl Cursor {
    pub fn id(&self) -> Option<&str> {
        match self {
            Cursor::None => None,
            Cursor::StartingAfter(id) | Cursor::EndingBefore(id) => Some(id),
        }
    }

    /// The error for a cursor whose object does not exist.
    pub fn no_such(&self, resource: &str) -> ApiError {
        let param = match self {
            Cursor::EndingBefore(_) => "ending_before",
            Cursor::None | Cursor::StartingAfter(_) => "starting_after",
        };
        ApiError::no_such(resource, self.id().unwrap_or_default(), param, Place::Parameter)
    }
}

/// A filter by a number, most often a time: `created=5` or `created[gt|gte|lt|lte]=5`. Both ends are inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub first: i64,
    pub last: i64,
}

impl Range {
    /// Nothing lies inside.
    const EMPTY: Range = Range { first: i64::MAX, last: i64::MIN };

    pub fn parse(fields: &Fields<'_>, name: &'static str) -> Result<Option<Range>, ApiError> {
        if !matches!(fields.raw(name), Some(Node::Hash(_))) {
            return Ok(fields.integer(name)?.map(|exact| Range { first: exact, last: exact }));
        }
        let Some(bounds) = fields.hash(name)? else { return Ok(None) };
        let (gte, lte) = (bounds.integer("gte")?, bounds.integer("lte")?);
        let (gt, lt) = (bounds.integer("gt")?, bounds.integer("lt")?);
        let mut range = Range { first: gte.unwrap_or(i64::MIN), last: lte.unwrap_or(i64::MAX) };
        if let Some(gt) = gt {
            let Some(least) = gt.checked_add(1) else { return Ok(Some(Range::EMPTY)) };
            range.first = range.first.max(least);
        }
        if let Some(lt) = lt {
            let Some(most) = lt.checked_sub(1) else { return Ok(Some(Range::EMPTY)) };
            range.last = range.last.min(most);
        }
        Ok(Some(range))
    }

    pub fn contains(&self, value: i64) -> bool {
        self.first <= value && value <= self.last
    }

    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

#[cfg(test)]
mod tests {
    use super::super::params::parse_query;
    use super::*;

    fn page(query: &str) -> Result<Page, ApiError> {
        let tree = parse_query(query)?;
        let fields = Fields::new(&tree);
        let page = Page::parse(&fields)?;
        fields.finish()?;
        Ok(page)
    }

    fn range(query: &str) -> Result<Option<Range>, ApiError> {
        let tree = parse_query(query)?;
        let fields = Fields::new(&tree);
        let range = Range::parse(&fields, "created")?;
        fields.finish()?;
        Ok(range)
    }

    #[test]
    fn pages_that_are_read() {
        let after = |id: &str| Cursor::StartingAfter(id.to_owned());
        let before = |id: &str| Cursor::EndingBefore(id.to_owned());
        for (query, limit, cursor) in [
            ("", 10, Cursor::None),
            ("limit=1", 1, Cursor::None),
            ("limit=100", 100, Cursor::None),
            ("limit=3&starting_after=tr_1", 3, after("tr_1")),
            ("ending_before=tr_2", 10, before("tr_2")),
        ] {
            assert_eq!(page(query), Ok(Page { limit, cursor }), "{query}");
        }
    }

    #[test]
    fn pages_that_are_refused() {
        for (query, param, code, message) in [
            ("limit=0", "limit", "parameter_invalid_integer", "This value must be greater than or equal to 1."),
            ("limit=101", "limit", "parameter_invalid_integer", "This value must be less than or equal to 100."),
            ("limit=ten", "limit", "parameter_invalid_integer", "Invalid integer: ten"),
            (
                "starting_after=a&ending_before=b",
                "ending_before",
                "",
                "Received both starting_after and ending_before parameters. Please pass in only one.",
            ),
            (
                "starting_before=a",
                "starting_before",
                "parameter_unknown",
                "Received unknown parameter: starting_before",
            ),
        ] {
            let error = page(query).expect_err(query);
            let found = (error.param.as_deref(), error.code.as_deref().unwrap_or_default(), &*error.message);
            assert_eq!(found, (Some(param), code, message), "{query}");
        }
        let error = Cursor::EndingBefore("tr_x".to_owned()).no_such("transfer");
        assert_eq!((error.status, error.param.as_deref()), (400, Some("ending_before")));
        assert_eq!(error.message, "No such transfer: 'tr_x'");
    }

    #[test]
    fn ranges_include_their_ends() {
        let (min, max) = (i64::MIN, i64::MAX);
        for (query, expected) in [
            ("", None),
            ("created=5", Some((5, 5))),
            ("created[gte]=5", Some((5, max))),
            ("created[gt]=5", Some((6, max))),
            ("created[lte]=5", Some((min, 5))),
            ("created[lt]=5", Some((min, 4))),
            ("created[gte]=1&created[lt]=3", Some((1, 2))),
            ("created[gt]=5&created[gte]=9&created[lt]=20&created[lte]=12", Some((9, 12))),
            ("created[gte]=5&created[gt]=9&created[lte]=20&created[lt]=12", Some((10, 11))),
        ] {
            let expected = expected.map(|(first, last)| Range { first, last });
            assert_eq!(range(query), Ok(expected), "{query}");
        }
        for empty in
            ["created[gt]=9223372036854775807", "created[lt]=-9223372036854775808", "created[gt]=5&created[lt]=6"]
        {
            let range = range(empty).unwrap().unwrap();
            assert!(range.is_empty() && !range.contains(5) && !range.contains(max) && !range.contains(min), "{empty}");
        }
        let range = range("created[gte]=1&created[lt]=3").unwrap().unwrap();
        assert_eq!([0, 1, 2, 3].map(|value| range.contains(value)), [false, true, true, false]);
    }

    #[test]
    fn ranges_that_are_refused() {
        for (query, param, message) in [
            ("created=yesterday", "created", "Invalid integer: yesterday"),
            ("created[]=1", "created", r#"Invalid integer: {"0":"1"}"#),
            ("created[gt]=x", "created[gt]", "Invalid integer: x"),
            ("created[gt]=9223372036854775807&created[lt]=x", "created[lt]", "Invalid integer: x"),
            ("created[after]=1", "created[after]", "Received unknown parameter: created[after]"),
            ("created[get]=1", "created[get]", "Received unknown parameter: created[get]. Did you mean created[gt]?"),
        ] {
            let error = range(query).expect_err(query);
            assert_eq!((error.param.as_deref(), &*error.message), (Some(param), message), "{query}");
        }
        assert_eq!(range("created=").unwrap_err().code.as_deref(), Some("parameter_invalid_empty"));
    }
}
