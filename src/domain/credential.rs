//! A credential among the settings: a value that is masked in every output, and its source.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::secret::{MASKED, Secret};

/// Where a credential is read from. `export` writes this in place of the value, and `apply` reads the value from there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Env(String),
    File(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Env(name) => write!(f, "from the environment variable {name}"),
            Source::File(path) => write!(f, "from the file {path}"),
        }
    }
}

/// A credential of a webhook. The settings hold it without its value until [`Settings::credentials_mut`] fills it in: what
/// needs no credential reads none. It serialises as its source, or masked.
///
/// [`Settings::credentials_mut`]: super::webhook::Settings::credentials_mut
#[derive(Clone, Debug, Default)]
pub struct Credential {
    pub value: Option<Secret>,
    pub source: Option<Source>,
}

impl Credential {
    pub fn new(value: Secret, source: Option<Source>) -> Credential {
        Credential { value: Some(value), source }
    }

    /// Without its source.
    #[must_use]
    pub fn masked(&self) -> Credential {
        Credential::default()
    }
}

/// Two credentials are equal if their values are, whatever their sources. One without a value equals any: it stands for
/// what the webhook has.
impl PartialEq for Credential {
    fn eq(&self, other: &Credential) -> bool {
        match (&self.value, &other.value) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }
}

impl Serialize for Credential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.source {
            Some(source) => source.serialize(serializer),
            None => serializer.serialize_str(MASKED),
        }
    }
}

/// The database's form; the value is in another table.
impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Credential, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Source(Source),
            Masked(serde::de::IgnoredAny),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Source(source) => Credential { value: None, source: Some(source) },
            Written::Masked(_) => Credential::default(),
        })
    }
}

/// The value of a custom header.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum HeaderValue {
    Plain(String),
    Secret(Credential),
}

impl HeaderValue {
    /// The value that is sent; `None` for a credential that was not loaded.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            HeaderValue::Plain(text) => Some(Cow::Borrowed(text)),
            HeaderValue::Secret(credential) => credential.value.as_ref().map(Secret::expose),
        }
    }

    /// Where its value came from, if that is known.
    pub fn source(&self) -> Option<&Source> {
        match self {
            HeaderValue::Plain(_) => None,
            HeaderValue::Secret(credential) => credential.source.as_ref(),
        }
    }
}

impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderValue::Plain(text) => text,
            HeaderValue::Secret(_) => MASKED,
        })
    }
}

/// The database's form: a masked value is a credential. No header may have the mask itself for a value.
impl<'de> Deserialize<'de> for HeaderValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HeaderValue, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Source(Source),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Text(text) if text == MASKED => HeaderValue::Secret(Credential::default()),
            Written::Text(text) => HeaderValue::Plain(text),
            Written::Source(source) => HeaderValue::Secret(Credential { value: None, source: Some(source) }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_it_shows_the_value() {
        let source = Source::Env("CRM_TOKEN".to_owned());
        for credential in [
            Credential::new(Secret::of_text("hunter2"), None),
            Credential::new(Secret::of_text("hunter2"), Some(source.clone())),
        ] {
            let forms = [format!("{credential:?}"), serde_json::to_string(&credential).unwrap()];
            assert!(forms.iter().all(|form| !form.contains("hunter2")), "{forms:?}");
            let read: Credential = serde_json::from_str(&forms[1]).unwrap();
            assert_eq!((read.value.is_some(), read.source), (false, credential.source));
        }
        assert_eq!(serde_json::to_string(&source).unwrap(), r#"{"env":"CRM_TOKEN"}"#);
    }
}
