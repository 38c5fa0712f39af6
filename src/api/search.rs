//! The query language of searches: `status:"succeeded" AND metadata["order"]:"7" AND amount>1000`.
//!
//! Owns reading a query and matching a rendered object against it, so that what is found is what the object shows.
//! Never touches a list: walking is the routes' ([`super::routes::search`]).
//!
//! A query is up to ten clauses joined by AND (which may be left out) or by OR, never both. A clause is a field, an
//! operator and a value; a minus before it turns it around. Words are compared without regard to case.

use serde_json::Value;

use super::error::{ApiError, echo};
use super::paging::Range;

/// Clauses of one query.
const CLAUSES_MAX: usize = 10;
/// Characters that a part of a text must have.
const PART_CHARS_MIN: usize = 3;

/// What a field holds, and so how it can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number: equal, or by size.
    Numeric,
    /// A word: equal as a whole.
    Token,
    /// A text: equal as a whole, or by a part.
    Text,
}

/// A field of a resource that can be searched by; `*` stands for any one step.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Steps with dots between them.
    pub path: &'static str,
    /// What it holds.
    pub holds: Type,
}

const fn field(path: &'static str, holds: Type) -> Field {
    Field { path, holds }
}

/// What can be searched for.
#[derive(Debug)]
pub struct Searched {
    /// Its plural, as errors name it.
    pub resource: &'static str,
    /// Its fields, beside `metadata["key"]`.
    pub fields: &'static [Field],
}

/// Charges.
pub static CHARGES: Searched = Searched {
    resource: "charges",
    fields: &[
        field("amount", Type::Numeric),
        field("billing_details.address.postal_code", Type::Token),
        field("created", Type::Numeric),
        field("currency", Type::Token),
        field("customer", Type::Token),
        field("disputed", Type::Token),
        field("payment_method_details.*.brand", Type::Token),
        field("payment_method_details.*.exp_month", Type::Token),
        field("payment_method_details.*.exp_year", Type::Token),
        field("payment_method_details.*.fingerprint", Type::Token),
        field("payment_method_details.*.last4", Type::Token),
        field("refunded", Type::Token),
        field("status", Type::Token),
    ],
};

/// Payment intents.
pub static PAYMENT_INTENTS: Searched = Searched {
    resource: "payment_intents",
    fields: &[
        field("amount", Type::Numeric),
        field("created", Type::Numeric),
        field("currency", Type::Token),
        field("customer", Type::Token),
        field("status", Type::Token),
    ],
};

/// Customers.
pub static CUSTOMERS: Searched = Searched {
    resource: "customers",
    fields: &[
        field("created", Type::Numeric),
        field("email", Type::Text),
        field("name", Type::Text),
        field("phone", Type::Text),
    ],
};

/// A query, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Whether one clause is enough.
    any: bool,
    clauses: Vec<Clause>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Clause {
    negated: bool,
    /// Steps into the object.
    path: Vec<String>,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// Nothing there.
    Absent,
    /// The same, but for case. In lower case.
    Is(String),
    /// Somewhere in it, but for case. In lower case.
    Has(String),
    /// A number within bounds, both inside.
    Within(Range),
}

// ---------------------------------------------------------------------------------------------------------------
// Reading

/// A clause as it is written.
#[derive(Debug)]
struct Written {
    negated: bool,
    name: String,
    /// The key, of `metadata["key"]`.
    key: Option<String>,
    operator: Operator,
    value: String,
    quoted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Part,
    Above,
    AtLeast,
    Below,
    AtMost,
}

fn refuse(message: impl Into<String>) -> ApiError {
    ApiError::invalid("query", message.into())
}

/// What cannot be read at all.
fn unreadable() -> ApiError {
    refuse(
        "We were unable to parse your search query. Try using the format `metadata[\"key\"]:\"value\"` to query for \
         metadata or `key:\"value\"` to query for other fields.",
    )
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_blanks(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start();
        self.rest.len() < before
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// As many characters as `is` takes.
    fn take_while(&mut self, is: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !is(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken.to_owned()
    }

    /// A text in quotes of either kind; a backslash takes the next character as it is.
    fn quoted(&mut self) -> Result<Option<String>, ApiError> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return Ok(None) };
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c if c == quote => {
                    self.rest = &self.rest[at + c.len_utf8()..];
                    return Ok(Some(text));
                }
                c => text.push(c),
            }
        }
        Err(unreadable())
    }

    /// AND or OR, if one comes; a word that only begins so is none.
    fn joint(&mut self) -> Option<bool> {
        for (word, any) in [("and", false), ("or", true)] {
            if let Some(start) = self.rest.get(..word.len())
                && start.eq_ignore_ascii_case(word)
                && self.rest[word.len()..].starts_with(char::is_whitespace)
            {
                self.rest = &self.rest[word.len()..];
                return Some(any);
            }
        }
        None
    }

    fn clause(&mut self) -> Result<Written, ApiError> {
        let negated = self.take("-");
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        if name.is_empty() {
            return Err(unreadable());
        }
        let mut key = None;
        if self.take("[") {
            key = Some(self.quoted()?.ok_or_else(unreadable)?);
            if !self.take("]") {
                return Err(unreadable());
            }
        }
        let operators = [
            (">=", Operator::AtLeast),
            ("<=", Operator::AtMost),
            (">", Operator::Above),
            ("<", Operator::Below),
            (":", Operator::Equal),
            ("~", Operator::Part),
        ];
        let operator = operators.into_iter().find(|(token, _)| self.take(token)).ok_or_else(unreadable)?.1;
        let (value, quoted) = match self.quoted()? {
            Some(text) => (text, true),
            None => (self.take_while(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '(' | ')')), false),
        };
        // Values run up to a blank: what follows directly belongs to nothing.
        let ends = self.rest.is_empty() || self.rest.starts_with(char::is_whitespace);
        if !ends || (value.is_empty() && !quoted) {
            return Err(unreadable());
        }
        Ok(Written { negated, name, key, operator, value, quoted })
    }
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// 400 that says what cannot be read, or cannot be searched by.
    pub fn parse(text: &str, searched: &Searched) -> Result<Query, ApiError> {
        let mut reader = Reader { rest: text };
        let mut clauses = Vec::new();
        let mut joined: Option<bool> = None;
        reader.skip_blanks();
        loop {
            clauses.push(understood(reader.clause()?, searched)?);
            if clauses.len() > CLAUSES_MAX {
                return Err(refuse(format!("A search query can have at most {CLAUSES_MAX} clauses.")));
            }
            reader.skip_blanks();
            if reader.rest.is_empty() {
                break;
            }
            let any = reader.joint().unwrap_or(false);
            if joined.is_some_and(|before| before != any) {
                let message = "A search query cannot combine AND and OR: use one of them. A blank between two clauses \
                               stands for AND.";
                return Err(refuse(message));
            }
            joined = Some(any);
            reader.skip_blanks();
        }
        Ok(Query { any: joined.unwrap_or(false), clauses })
    }

    /// Whether an object is meant.
    pub fn matches(&self, object: &Value) -> bool {
        let mut met = self.clauses.iter().map(|clause| clause.matches(object));
        if self.any { met.any(|met| met) } else { met.all(|met| met) }
    }

    /// When everything that can match was made: lets the walk end early.
    pub fn created(&self) -> Option<Range> {
        if self.any {
            return None;
        }
        let bounds = self.clauses.iter().filter_map(|clause| match &clause.test {
            Test::Within(range) if !clause.negated && clause.path == ["created"] => Some(*range),
            _ => None,
        });
        bounds.reduce(|one, other| Range { first: one.first.max(other.first), last: one.last.min(other.last) })
    }
}

fn understood(written: Written, searched: &Searched) -> Result<Clause, ApiError> {
    let Written { negated, name, key, operator, value, quoted } = written;
    let unsupported = || {
        refuse(format!(
            "Field `{}` is an unsupported search field for resource `{}`. See docs/compatibility.md#search for the \
             supported fields.",
            echo(&name),
            searched.resource
        ))
    };
    let (path, holds) = match key {
        Some(key) if name == "metadata" => (vec![name.clone(), key], Type::Token),
        Some(_) => return Err(unsupported()),
        None => {
            let steps: Vec<&str> = name.split('.').collect();
            let meant = |field: &&Field| {
                let known: Vec<&str> = field.path.split('.').collect();
                known.len() == steps.len()
                    && known.iter().zip(&steps).all(|(known, step)| *known == "*" || known == step)
            };
            let field = searched.fields.iter().find(meant).ok_or_else(unsupported)?;
            (steps.into_iter().map(str::to_owned).collect(), field.holds)
        }
    };
    let absent = !quoted && value.eq_ignore_ascii_case("null");
    let number = || -> Result<i64, ApiError> {
        value.parse().map_err(|_| {
            refuse(format!("Field `{}` is a number; `{}` is none. Give a whole number.", echo(&name), echo(&value)))
        })
    };
    let test = match (operator, holds) {
        (Operator::Equal, _) if absent => Test::Absent,
        (Operator::Equal, Type::Numeric) => {
            let exact = number()?;
            Test::Within(Range { first: exact, last: exact })
        }
        (Operator::Equal, Type::Token | Type::Text) => Test::Is(value.to_lowercase()),
        (Operator::Part, Type::Text) if value.chars().count() < PART_CHARS_MIN => {
            return Err(refuse(format!(
                "A part of a text to search for has at least {PART_CHARS_MIN} characters; `{}` has fewer.",
                echo(&value)
            )));
        }
        (Operator::Part, Type::Text) => Test::Has(value.to_lowercase()),
        (Operator::Part, Type::Numeric | Type::Token) => {
            return Err(refuse(format!(
                "Field `{}` cannot be searched by a part of its value (~): use the whole value, with a colon.",
                echo(&name)
            )));
        }
        (operator, Type::Numeric) => {
            let bound = number()?;
            let (first, last) = match operator {
                Operator::Above => (bound.saturating_add(1), i64::MAX),
                Operator::AtLeast => (bound, i64::MAX),
                Operator::Below => (i64::MIN, bound.saturating_sub(1)),
                Operator::AtMost | Operator::Equal | Operator::Part => (i64::MIN, bound),
            };
            Test::Within(Range { first, last })
        }
        (_, Type::Token | Type::Text) => {
            return Err(refuse(format!("Field `{}` is no number: compare it with a colon.", echo(&name))));
        }
    };
    Ok(Clause { negated, path, test })
}

// ---------------------------------------------------------------------------------------------------------------
// Matching

impl Clause {
    fn matches(&self, object: &Value) -> bool {
        let found = self.path.iter().try_fold(object, |inside, step| inside.get(step)).filter(|value| !value.is_null());
        self.test.met(found) != self.negated
    }
}

impl Test {
    fn met(&self, found: Option<&Value>) -> bool {
        let word = || found.and_then(word);
        match self {
            Test::Absent => found.is_none(),
            Test::Is(wanted) => word().is_some_and(|word| word.to_lowercase() == *wanted),
            Test::Has(part) => word().is_some_and(|word| word.to_lowercase().contains(part.as_str())),
            Test::Within(range) => found.and_then(Value::as_i64).is_some_and(|number| range.contains(number)),
        }
    }
}

/// A value as a query writes it.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(object) => object.get("id").and_then(Value::as_str).map(str::to_owned),
        Value::Null | Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn charge() -> Value {
        json!({
            "amount": 1000,
            "created": 1_700_000_000,
            "currency": "eur",
            "customer": null,
            "disputed": false,
            "metadata": {"order": "Shoe 7", "say \"hi\"": "x", "empty": ""},
            "payment_method_details": {"card": {"brand": "visa", "exp_year": 2034, "last4": "4242"}, "type": "card"},
            "billing_details": {"address": {"postal_code": "SW1A 1AA"}},
            "status": "succeeded",
        })
    }

    fn found(query: &str) -> bool {
        Query::parse(query, &CHARGES).unwrap_or_else(|error| panic!("{query}: {error}")).matches(&charge())
    }

    #[test]
    fn queries_and_whether_they_find_the_charge() {
        for (query, is_found) in [
            ("amount:1000", true),
            ("amount:\"1000\"", true),
            ("amount>999", true),
            ("amount>1000", false),
            ("amount>=1000", true),
            ("amount<1000", false),
            ("amount<=1000", true),
            ("amount<9223372036854775807", true),
            ("amount>-9223372036854775808", true),
            ("-amount:1000", false),
            ("currency:\"EUR\"", true),
            ("currency:eur", true),
            ("-currency:'usd'", true),
            ("status:\"succeeded\" AND currency:\"eur\"", true),
            ("status:\"succeeded\" and currency:\"usd\"", false),
            ("status:\"succeeded\" currency:\"eur\"", true),
            ("status:\"failed\" OR currency:\"eur\"", true),
            ("status:\"failed\" or currency:\"usd\"", false),
            ("status:\"failed\" OR -currency:\"usd\" OR amount:1", true),
            ("metadata[\"order\"]:\"Shoe 7\"", true),
            ("metadata['order']:'shoe 7'", true),
            ("metadata[\"order\"]:\"Shoe\"", false),
            ("metadata[\"say \\\"hi\\\"\"]:x", true),
            ("metadata[\"nothing\"]:null", true),
            ("-metadata[\"order\"]:null", true),
            ("metadata[\"order\"]:NULL", false),
            ("metadata[\"order\"]:\"null\"", false),
            ("customer:null", true),
            ("payment_method_details.card.last4:4242", true),
            ("payment_method_details.card.last4:\"4243\"", false),
            ("payment_method_details.card.brand:\"VISA\"", true),
            ("payment_method_details.card.exp_year:2034", true),
            ("payment_method_details.sepa_debit.last4:4242", false),
            ("billing_details.address.postal_code:\"sw1a 1aa\"", true),
            ("disputed:false", true),
            ("  created>1699999999   created<1700000001  ", true),
        ] {
            assert_eq!(found(query), is_found, "{query}");
        }
        let customer = json!({"email": "Sally@Rocketrides.io", "name": "Sally", "metadata": {}});
        for (query, is_found) in [
            ("email~\"rocketrides\"", true),
            ("email:\"sally@rocketrides.io\"", true),
            ("name~\"all\"", true),
            ("name~\"bob\"", false),
            ("-name~\"bob\"", true),
            ("phone:null", true),
        ] {
            assert_eq!(Query::parse(query, &CUSTOMERS).unwrap().matches(&customer), is_found, "{query}");
        }
    }

    #[test]
    fn queries_that_are_refused_and_why() {
        let unreadable = "We were unable to parse your search query.";
        for (query, words) in [
            ("", unreadable),
            ("   ", unreadable),
            ("succeeded", unreadable),
            ("status", unreadable),
            ("status:", unreadable),
            (":succeeded", unreadable),
            ("status=\"succeeded\"", unreadable),
            ("status:\"succeeded", unreadable),
            ("(status:\"succeeded\")", unreadable),
            ("status:\"a\"\"b\"", unreadable),
            ("metadata[order]:\"7\"", unreadable),
            ("metadata[\"order\":\"7\"", unreadable),
            ("status:\"a\" AND", unreadable),
            ("AND status:\"a\"", unreadable),
            ("- status:\"a\"", unreadable),
            ("description:\"x\"", "Field `description` is an unsupported search field for resource `charges`."),
            ("metadata:\"x\"", "Field `metadata` is an unsupported search field for resource `charges`."),
            ("status[\"x\"]:\"y\"", "Field `status` is an unsupported search field for resource `charges`."),
            ("status:\"a\" AND currency:\"b\" OR amount:1", "A search query cannot combine AND and OR"),
            ("status:\"a\" currency:\"b\" OR amount:1", "A search query cannot combine AND and OR"),
            ("amount:ten", "Field `amount` is a number; `ten` is none."),
            ("amount>1.5", "Field `amount` is a number; `1.5` is none."),
            ("status>1", "Field `status` is no number"),
            ("status~\"succ\"", "Field `status` cannot be searched by a part"),
            ("amount~\"100\"", "Field `amount` cannot be searched by a part"),
            (&"amount:1 ".repeat(11), "A search query can have at most 10 clauses."),
        ] {
            let error = Query::parse(query, &CHARGES).expect_err(query);
            assert!(error.message.starts_with(words), "{query}: {}", error.message);
            assert_eq!((error.status, error.param.as_deref()), (400, Some("query")), "{query}");
        }
        let short = Query::parse("name~\"ab\"", &CUSTOMERS).unwrap_err();
        assert!(short.message.starts_with("A part of a text to search for has at least 3 characters"));
    }

    #[test]
    fn bounds_of_creation_end_the_walk_only_where_all_must_meet_them() {
        let created =
            |query: &str| Query::parse(query, &CHARGES).unwrap().created().map(|range| (range.first, range.last));
        assert_eq!(created("created>5 created<=9 amount:1"), Some((6, 9)));
        assert_eq!(created("created:7"), Some((7, 7)));
        assert_eq!(created("created>5 OR amount:1"), None);
        assert_eq!(created("-created>5"), None);
        assert_eq!(created("amount:1"), None);
    }

    /// A value as a query text.
    fn quote(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(query in ".{0,60}") {
            let _ = Query::parse(&query, &CHARGES).map(|query| query.matches(&charge()));
        }

        #[test]
        fn what_looks_like_a_query_is_read_or_refused(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "status", "amount", "metadata[\"a\"]", "-", ":", "~", ">", ">=", "\"x\"", "'", "\"", "7", " ", " AND ",
                    " or ", "null", "[", "]", "\\", "(", "payment_method_details.card.last4",
                ]),
                0..12,
            )
        ) {
            let _ = Query::parse(&parts.concat(), &CHARGES).map(|query| query.matches(&charge()));
        }

        #[test]
        fn metadata_is_found_by_what_it_is(key in "[^\\[\\]]{1,40}", value in ".{0,80}", other in ".{0,80}") {
            let object = json!({"metadata": {key.as_str(): value.as_str()}});
            let field = format!("metadata[{}]", quote(&key));
            let matches = |query: String| Query::parse(&query, &CHARGES).map(|query| query.matches(&object));
            let exact = format!("{field}:{}", quote(&value));
            prop_assert_eq!(matches(exact.clone()), Ok(true));
            prop_assert_eq!(matches(format!("-{exact}")), Ok(false));
            let same = value.to_lowercase() == other.to_lowercase();
            prop_assert_eq!(matches(format!("{field}:{}", quote(&other))), Ok(same));
            prop_assert_eq!(matches(format!("{exact} {field}:{}", quote(&other))), Ok(same));
            prop_assert_eq!(matches(format!("{exact} OR {field}:{}", quote(&other))), Ok(true));
        }

        #[test]
        fn numbers_compare_as_numbers(have: i64, bound: i64) {
            let object = json!({"amount": have});
            let matches = |operator: &str| {
                Query::parse(&format!("amount{operator}{bound}"), &CHARGES).map(|query| query.matches(&object))
            };
            prop_assert_eq!(matches(":"), Ok(have == bound));
            prop_assert_eq!(matches(">="), Ok(have >= bound));
            prop_assert_eq!(matches("<="), Ok(have <= bound));
            prop_assert_eq!(matches(">"), Ok(have > bound));
            prop_assert_eq!(matches("<"), Ok(have < bound));
        }
    }
}
