//! Texts of a request: read by the API's rules, kept by parameter path.
//!
//! What names a person or is free text goes beside the command, sealed. Paths are those of the parameters, so that what
//! came as `shipping[address][line1]` is found there by the rendering.

use super::error::ApiError;
use super::fields::{AddressPatch, Fields, MetadataPatch, Patch};
use crate::domain::seal::TextPatch;

/// Characters of a statement descriptor.
const DESCRIPTOR_CHARS_MAX: usize = 22;

/// Collects the texts of one request.
#[derive(Debug, Default)]
pub struct Texts {
    patch: TextPatch,
}

impl Texts {
    /// What was collected.
    pub fn into_patch(self) -> TextPatch {
        self.patch
    }

    /// Sets a path.
    pub fn set(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.patch.set(path, text);
    }

    /// Removes a path and all below it.
    pub fn clear(&mut self, path: impl Into<String>) {
        self.patch.clear(path);
    }

    /// What was collected inside a hash, at the paths that it has without it: `h[a][b]` is `a[b]`.
    pub fn lifted_out_of(self, hash: &str) -> TextPatch {
        let lifted = self.patch.0.into_iter().filter_map(|(path, text)| {
            let (first, rest) = path.strip_prefix(hash)?.strip_prefix('[')?.split_once(']')?;
            Some((format!("{first}{rest}"), text))
        });
        TextPatch(lifted.collect())
    }

    fn put(&mut self, path: &str, text: Patch<&str>) {
        match text {
            Patch::Keep => {}
            Patch::Clear => self.patch.clear(path),
            Patch::Set(text) => self.patch.set(path, text),
        }
    }

    /// A text that may be cleared; its path is its name.
    ///
    /// # Errors
    /// 400.
    pub fn text(&mut self, fields: &Fields<'_>, name: &'static str) -> Result<bool, ApiError> {
        let text = fields.clearable_text(name)?;
        let is_set = matches!(text, Patch::Set(_));
        self.put(&fields.name_of(name), text);
        Ok(is_set)
    }

    /// A text with a limit of its own, in characters.
    ///
    /// # Errors
    /// 400.
    pub fn text_up_to(&mut self, fields: &Fields<'_>, name: &'static str, chars_max: usize) -> Result<(), ApiError> {
        let text = fields.clearable_text_up_to(name, chars_max)?;
        self.put(&fields.name_of(name), text);
        Ok(())
    }

    /// Several of them.
    ///
    /// # Errors
    /// 400.
    pub fn texts(&mut self, fields: &Fields<'_>, names: &[&'static str]) -> Result<(), ApiError> {
        for name in names {
            self.text(fields, name)?;
        }
        Ok(())
    }

    /// An e-mail address.
    ///
    /// # Errors
    /// 400.
    pub fn email(&mut self, fields: &Fields<'_>, name: &'static str) -> Result<bool, ApiError> {
        let text = fields.clearable_text_up_to(name, 512)?;
        if let Patch::Set(email) = text
            && !is_email(email)
        {
            return Err(ApiError::invalid_email(fields.name_of(name), email));
        }
        let is_set = matches!(text, Patch::Set(_));
        self.put(&fields.name_of(name), text);
        Ok(is_set)
    }

    /// What a payer's statement shows: at most 22 characters, at least one letter, none of `< > \ ' " *`.
    ///
    /// # Errors
    /// 400.
    pub fn descriptor(&mut self, fields: &Fields<'_>, name: &'static str) -> Result<(), ApiError> {
        let text = fields.clearable_text_up_to(name, DESCRIPTOR_CHARS_MAX)?;
        if let Patch::Set(descriptor) = text {
            let param = fields.name_of(name);
            if descriptor.contains(['<', '>', '\\', '\'', '"', '*']) {
                let message = "The statement descriptor must not contain any of these characters: < > \\ ' \" *";
                return Err(ApiError::invalid(param, message));
            }
            if !descriptor.chars().any(char::is_alphabetic) {
                let message = "The statement descriptor must contain at least one letter.";
                return Err(ApiError::invalid(param, message));
            }
        }
        self.put(&fields.name_of(name), text);
        Ok(())
    }

    /// A number or flag that is only shown: kept as its text.
    ///
    /// # Errors
    /// 400.
    pub fn flag(&mut self, fields: &Fields<'_>, name: &'static str) -> Result<(), ApiError> {
        if let Some(flag) = fields.boolean(name)? {
            self.set(fields.name_of(name), if flag { "true" } else { "false" });
        }
        Ok(())
    }

    /// `metadata` of this hash.
    ///
    /// # Errors
    /// 400.
    pub fn metadata(&mut self, fields: &Fields<'_>) -> Result<(), ApiError> {
        let path = fields.name_of("metadata");
        match fields.metadata()? {
            None => {}
            Some(MetadataPatch::ClearAll) => self.patch.clear(path),
            Some(MetadataPatch::Change(changes)) => {
                for (key, value) in changes {
                    if key.contains(['[', ']']) {
                        return Err(ApiError::invalid(path, "Metadata keys must not contain square brackets."));
                    }
                    let at = format!("{path}[{key}]");
                    match value {
                        Some(value) => self.patch.set(at, value),
                        None => self.patch.clear(at),
                    }
                }
            }
        }
        Ok(())
    }

    /// A hash with the lines of an address. Gives its first line, where it was set.
    ///
    /// # Errors
    /// 400.
    pub fn address<'a>(&mut self, fields: &Fields<'a>, name: &'static str) -> Result<Option<&'a str>, ApiError> {
        let path = fields.name_of(name);
        match fields.address(name)? {
            Patch::Keep => Ok(None),
            Patch::Clear => {
                self.patch.clear(path);
                Ok(None)
            }
            Patch::Set(AddressPatch { line1, line2, city, state, postal_code, country }) => {
                for (line, text) in [
                    ("line1", line1),
                    ("line2", line2),
                    ("city", city),
                    ("state", state),
                    ("postal_code", postal_code),
                    ("country", country),
                ] {
                    self.put(&format!("{path}[{line}]"), text);
                }
                Ok(line1.value())
            }
        }
    }

    /// `shipping`.
    ///
    /// # Errors
    /// 400.
    pub fn shipping(&mut self, fields: &Fields<'_>) -> Result<(), ApiError> {
        match fields.clearable_hash("shipping")? {
            Patch::Keep => {}
            Patch::Clear => self.patch.clear(fields.name_of("shipping")),
            Patch::Set(shipping) => {
                self.texts(&shipping, &["carrier", "name", "phone", "tracking_number"])?;
                self.address(&shipping, "address")?;
            }
        }
        Ok(())
    }

    /// `billing_details`. A tax id is accepted and not kept.
    ///
    /// # Errors
    /// 400.
    pub fn billing(&mut self, fields: &Fields<'_>) -> Result<(), ApiError> {
        if let Some(billing) = fields.hash("billing_details")? {
            self.email(&billing, "email")?;
            self.texts(&billing, &["name", "phone"])?;
            self.address(&billing, "address")?;
            billing.ignore("tax_id");
        }
        Ok(())
    }
}

/// Something before and after one `@`, without blanks: what is worth checking without sending mail.
fn is_email(text: &str) -> bool {
    match text.split_once('@') {
        Some((local, domain)) => {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains(char::is_whitespace)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::params::parse_form;
    use super::*;

    fn collect(
        form: &str,
        read: impl FnOnce(&mut Texts, &Fields<'_>) -> Result<(), ApiError>,
    ) -> Result<Vec<(String, Option<String>)>, ApiError> {
        let tree = parse_form(form.as_bytes())?;
        let fields = Fields::new(&tree);
        let mut texts = Texts::default();
        read(&mut texts, &fields)?;
        fields.finish()?;
        Ok(texts.into_patch().0)
    }

    #[test]
    fn texts_lie_at_the_path_of_their_parameter() {
        let got = collect(
            "shipping[name]=A&shipping[address][line1]=B&shipping[address][city]=&metadata[k]=v&metadata[gone]=",
            |texts, fields| {
                texts.shipping(fields)?;
                texts.metadata(fields)
            },
        );
        let want: Vec<(String, Option<String>)> = [
            ("shipping[name]", Some("A")),
            ("shipping[address][line1]", Some("B")),
            ("shipping[address][city]", None),
            ("metadata[k]", Some("v")),
            ("metadata[gone]", None),
        ]
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.map(str::to_owned)))
        .collect();
        assert_eq!(got.unwrap(), want);
    }

    #[test]
    fn descriptors_and_addresses_are_checked() {
        let descriptor = |form: &str| collect(form, |texts, fields| texts.descriptor(fields, "d")).is_ok();
        assert!(descriptor("d=FLORIN 1") && descriptor("d="));
        assert!(!descriptor("d=12345") && !descriptor("d=A*B") && !descriptor("d=ABCDEFGHIJKLMNOPQRSTUVW"));
        let email = |form: &str| collect(form, |texts, fields| texts.email(fields, "e").map(|_| ())).is_ok();
        assert!(email("e=a%40b") && !email("e=a") && !email("e=a%40b%40c") && !email("e=%40b"));
    }
}
