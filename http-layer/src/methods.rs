//! The HTTP methods in span names and metrics.

use std::sync::{Arc, LazyLock};

use http::Method;

/// The environment variable that replaces the default list (semantic conventions 1.45, http/http-spans).
const VARIABLE: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";

/// RFC 9110, PATCH (RFC 5789) and QUERY.
const STANDARD: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// The HTTP methods in span names and metric attributes. Any other method is `_OTHER`, because a caller can invent methods.
///
/// The default list is the methods of RFC 9110, PATCH and QUERY. The environment variable `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`,
/// a comma-separated list, replaces it. Methods are case-sensitive.
///
/// ```
/// use propagation_http::KnownMethods;
///
/// let methods = KnownMethods::new(["GET", "PROPFIND"]);
/// assert_eq!(methods.find(&"PROPFIND".parse()?), Some("PROPFIND"));
/// assert_eq!(methods.find(&"BREW".parse()?), None);
/// # Ok::<(), http::method::InvalidMethod>(())
/// ```
#[derive(Clone, Debug)]
pub struct KnownMethods(Arc<[&'static str]>);

impl KnownMethods {
    /// Creates a list that replaces the default one.
    ///
    /// Non-standard names are leaked: spans and metrics share them for the lifetime of the process.
    #[must_use]
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(methods: I) -> Self {
        Self(methods.into_iter().map(|method| intern(method.as_ref())).collect())
    }

    /// Parses a comma-separated list. Skips invalid methods with a warning.
    fn listed(text: &str) -> Option<Self> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let (methods, invalid): (Vec<&str>, Vec<&str>) = entries.partition(|entry| entry.parse::<Method>().is_ok());
        if !invalid.is_empty() {
            tracing::warn!(
                target: "propagation",
                "{VARIABLE}: {} invalid HTTP methods ignored; list methods separated by commas, such as GET,POST,PROPFIND",
                invalid.len()
            );
        }
        (!methods.is_empty()).then(|| Self::new(methods))
    }

    /// Returns the method's name, if it is known.
    #[must_use]
    pub fn find(&self, method: &Method) -> Option<&'static str> {
        self.0.iter().find(|known| **known == method.as_str()).copied()
    }
}

impl Default for KnownMethods {
    fn default() -> Self {
        static DEFAULT: LazyLock<KnownMethods> = LazyLock::new(|| {
            let listed = std::env::var(VARIABLE).ok().and_then(|text| KnownMethods::listed(&text));
            listed.unwrap_or_else(|| KnownMethods(STANDARD.into()))
        });
        DEFAULT.clone()
    }
}

fn intern(method: &str) -> &'static str {
    let standard = STANDARD.iter().find(|known| **known == method);
    standard.copied().unwrap_or_else(|| Box::leak(method.to_owned().into_boxed_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_replaces_the_default_list() {
        for (text, known, unknown) in [
            ("GET,PROPFIND", &["GET", "PROPFIND"][..], &["POST", "QUERY", "get"][..]),
            (" REPORT , ", &["REPORT"], &["GET"]),
            ("GET,not a method,\u{7}", &["GET"], &["not"]),
        ] {
            let methods = KnownMethods::listed(text).unwrap();
            let find = |name: &&str| methods.find(&name.parse().unwrap()).is_some();
            assert!(known.iter().all(find) && !unknown.iter().any(find), "{text}");
        }
        for text in ["", " , ", "not a method"] {
            assert!(KnownMethods::listed(text).is_none(), "{text}");
        }
    }
}
