//! Expansion: which ids of an answer are to be replaced by their objects.
//!
//! `expand[]=a.b` is kept as a tree of names that the renderer walks along with the object. What may be expanded is a
//! graph of [`Shape`]s, one static for each kind of object; [`Expand::check`] walks both before anything is executed,
//! so a misspelt path never costs a charge.

use std::collections::BTreeMap;

use super::error::ApiError;
use super::fields::Fields;

/// Levels of one path, `data` of lists included.
pub const LEVELS_MAX: usize = 4;

/// Names to expand, each with what is to be expanded inside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expand {
    inside: BTreeMap<String, Expand>,
}

static NOTHING: Expand = Expand { inside: BTreeMap::new() };

/// What can be expanded in one kind of object.
#[derive(Debug)]
pub struct Shape {
    pub properties: &'static [Property],
}

#[derive(Debug)]
pub struct Property {
    name: &'static str,
    /// False for a plain hash: one may expand inside it, but not the hash itself.
    is_expandable: bool,
    /// The kinds of object found there; a path is fine if it fits one of them.
    leads_to: &'static [&'static Shape],
}

impl Property {
    /// An id that becomes an object, or a part that is absent until asked for.
    pub const fn expandable(name: &'static str, leads_to: &'static [&'static Shape]) -> Property {
        Property { name, is_expandable: true, leads_to }
    }

    /// A hash that is always there and has something expandable inside.
    pub const fn hash(name: &'static str, leads_to: &'static [&'static Shape]) -> Property {
        Property { name, is_expandable: false, leads_to }
    }
}

impl Shape {
    fn property(&self, name: &str) -> Option<&'static Property> {
        self.properties.iter().find(|property| property.name == name)
    }
}

impl Expand {
    /// Reads `expand[]`. Follow with [`Expand::check`] or [`Expand::check_list`].
    pub fn parse(fields: &Fields<'_>) -> Result<Expand, ApiError> {
        let mut expand = Expand::default();
        for path in fields.texts("expand")?.unwrap_or_default() {
            let mut place = &mut expand;
            for (level, name) in path.split('.').enumerate() {
                if level >= LEVELS_MAX {
                    return Err(ApiError::expand_too_deep(path, LEVELS_MAX));
                }
                if name.is_empty() {
                    return Err(ApiError::cannot_expand(path, None));
                }
                place = place.inside.entry(name.to_owned()).or_default();
            }
        }
        Ok(expand)
    }

    pub fn is_empty(&self) -> bool {
        self.inside.is_empty()
    }

    /// Whether a property is to be expanded.
    pub fn wants(&self, name: &str) -> bool {
        self.inside.contains_key(name)
    }

    /// What is to be expanded inside a property; none if the property itself is not.
    pub fn child(&self, name: &str) -> Option<&Expand> {
        self.inside.get(name)
    }

    /// As [`Expand::child`], with nothing to expand instead of none: for hashes that are rendered anyway.
    pub fn inside(&self, name: &str) -> &Expand {
        self.inside.get(name).unwrap_or(&NOTHING)
    }

    /// What is to be expanded in each object of a list.
    pub fn items(&self) -> &Expand {
        self.inside("data")
    }

    /// Refuses the first path that an answer of this shape does not have.
    pub fn check(&self, shape: &Shape) -> Result<(), ApiError> {
        self.refuse_first(&[shape], &mut Vec::new())
    }

    /// As [`Expand::check`] for a list of such objects, where every path starts with `data`.
    pub fn check_list(&self, shape: &'static Shape) -> Result<(), ApiError> {
        for (name, inside) in &self.inside {
            if name == "data" {
                inside.refuse_first(&[shape], &mut vec!["data"])?;
            } else {
                let path = self.first_path(name);
                let instead = format!("data.{path}");
                return Err(ApiError::cannot_expand(&path, Some(&instead)));
            }
        }
        Ok(())
    }

    fn refuse_first<'e>(&'e self, shapes: &[&Shape], path: &mut Vec<&'e str>) -> Result<(), ApiError> {
        for (name, inside) in &self.inside {
            path.push(name);
            let found: Vec<&'static Property> = shapes.iter().filter_map(|shape| shape.property(name)).collect();
            if found.is_empty() || (inside.is_empty() && !found.iter().any(|property| property.is_expandable)) {
                return Err(ApiError::cannot_expand(&path.join("."), None));
            }
            let next: Vec<&Shape> = found.iter().flat_map(|property| property.leads_to.iter().copied()).collect();
            inside.refuse_first(&next, path)?;
            path.pop();
        }
        Ok(())
    }

    /// One whole path that starts with this name, as it was asked for.
    fn first_path(&self, name: &str) -> String {
        let mut path = name.to_owned();
        let mut place = self.inside(name);
        while let Some((name, inside)) = place.inside.first_key_value() {
            path.push('.');
            path.push_str(name);
            place = inside;
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::super::params::parse_form;
    use super::*;

    // Statics may lead to each other, and objects do.
    static CUSTOMER: Shape = Shape { properties: &[Property::expandable("default_source", &[])] };
    static CHARGE: Shape = Shape {
        properties: &[
            Property::expandable("customer", &[&CUSTOMER]),
            Property::expandable("balance_transaction", &[&TRANSACTION]),
            Property::expandable("refunds", &[&REFUNDS]),
            Property::hash("transfer_data", &[&TRANSFER_DATA]),
        ],
    };
    static TRANSACTION: Shape = Shape { properties: &[Property::expandable("source", &[&CHARGE, &REFUND])] };
    static REFUND: Shape = Shape { properties: &[Property::expandable("charge", &[&CHARGE])] };
    static REFUNDS: Shape = Shape { properties: &[Property::hash("data", &[&REFUND])] };
    static TRANSFER_DATA: Shape = Shape { properties: &[Property::expandable("destination", &[])] };

    fn parse(paths: &[&str]) -> Result<Expand, ApiError> {
        let body: Vec<String> = paths.iter().map(|path| format!("expand[]={path}")).collect();
        let tree = parse_form(body.join("&").as_bytes())?;
        Expand::parse(&Fields::new(&tree))
    }

    #[test]
    fn paths_share_their_beginnings() {
        let expand = parse(&["customer", "balance_transaction.source", "balance_transaction", "customer"]).unwrap();
        assert!(expand.wants("customer") && expand.wants("balance_transaction") && !expand.wants("source"));
        assert!(expand.child("balance_transaction").unwrap().wants("source"));
        assert!(expand.child("customer").unwrap().is_empty());
        assert!(expand.child("refunds").is_none() && expand.inside("refunds").is_empty());
        assert!(parse(&["data.customer"]).unwrap().items().wants("customer"));
        assert!(parse(&[]).unwrap().is_empty() && Expand::default().items().is_empty());
    }

    #[test]
    fn only_what_the_shape_has_can_be_expanded() {
        for (path, refused) in [
            ("customer", None),
            ("customer.default_source", None),
            ("balance_transaction.source.customer", None),
            ("balance_transaction.source.charge", None),
            ("balance_transaction.source.refunds", None),
            ("refunds.data.charge", None),
            ("transfer_data.destination", None),
            ("foo", Some("foo")),
            ("customer.foo", Some("customer.foo")),
            ("customer.default_source.x", Some("customer.default_source.x")),
            ("transfer_data", Some("transfer_data")),
            ("refunds.data", Some("refunds.data")),
            ("refunds.charge", Some("refunds.charge")),
            ("data.customer", Some("data")),
            ("customer.", Some("customer.")),
            (".", Some(".")),
        ] {
            let message = refused.map(|refused| format!("This property cannot be expanded ({refused})."));
            let error = parse(&[path]).and_then(|expand| expand.check(&CHARGE)).err();
            assert_eq!(error.as_ref().map(|error| error.message.to_string()), message, "{path}");
            assert!(error.is_none_or(|error| error.status == 400 && error.param.as_deref() == Some("expand")));
        }
    }

    #[test]
    fn lists_are_expanded_below_data() {
        for (path, message) in [
            ("data", None),
            ("data.customer", None),
            ("data.balance_transaction.source.customer", None),
            ("data.foo", Some("This property cannot be expanded (data.foo).")),
            (
                "customer",
                Some(
                    "This property cannot be expanded (customer). You may want to try expanding 'data.customer' instead.",
                ),
            ),
            (
                "customer.default_source",
                Some(
                    "This property cannot be expanded (customer.default_source). You may want to try expanding 'data.customer.default_source' instead.",
                ),
            ),
        ] {
            let error = parse(&[path]).and_then(|expand| expand.check_list(&CHARGE)).err();
            assert_eq!(error.map(|error| error.message.to_string()), message.map(str::to_owned), "{path}");
        }
    }

    #[test]
    fn malformed_requests_for_expansion_are_refused() {
        let too_deep = "You cannot expand more than 4 levels of a property. Property: a.b.c.d.e";
        assert_eq!(parse(&["a.b.c.d.e"]).unwrap_err().message, too_deep);
        assert!(parse(&["a.b.c.d"]).is_ok());
        assert!(parse(&[&".".repeat(4000)]).is_err());
        let tree = parse_form(b"expand=customer").unwrap();
        let error = Expand::parse(&Fields::new(&tree)).unwrap_err();
        assert_eq!((&*error.message, error.param.as_deref()), ("Invalid array", Some("expand")));
    }
}
