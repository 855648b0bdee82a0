//! The target of a request, from the URL type of the client library.

use std::borrow::Cow;

use http::{HeaderMap, Uri};

use crate::attributes;

/// The parts of a request's URL that describe its span. Converting one URL type to the other would cost an allocation and a second parse.
pub(crate) struct Target<'a> {
    url: Url<'a>,
    pub(crate) scheme: &'a str,
    /// The URL's authority, or else the host header.
    pub(crate) authority: Cow<'a, str>,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
}

enum Url<'a> {
    Uri(&'a Uri),
    #[cfg(feature = "reqwest-0-13")]
    Url(&'a ::reqwest::Url),
}

impl<'a> Target<'a> {
    pub(crate) fn new(uri: &'a Uri, headers: &HeaderMap) -> Self {
        Self {
            url: Url::Uri(uri),
            scheme: uri.scheme_str().unwrap_or("http"),
            authority: attributes::authority_of(uri.authority().map_or("", http::uri::Authority::as_str), headers),
            path: uri.path(),
            query: uri.query(),
        }
    }

    #[cfg(feature = "reqwest-0-13")]
    pub(crate) fn of_url(url: &'a ::reqwest::Url, headers: &HeaderMap) -> Self {
        Self {
            url: Url::Url(url),
            scheme: url.scheme(),
            authority: attributes::authority_of(url.authority(), headers),
            path: url.path(),
            query: url.query(),
        }
    }

    /// Returns the URL for a user's function. A URL that is too long for [`Uri`] is reduced to its origin.
    pub(crate) fn uri(&self) -> Cow<'a, Uri> {
        match self.url {
            Url::Uri(uri) => Cow::Borrowed(uri),
            #[cfg(feature = "reqwest-0-13")]
            Url::Url(url) => {
                let origin = || url.origin().ascii_serialization().parse().ok();
                Cow::Owned(url.as_str().parse().ok().or_else(origin).unwrap_or_default())
            }
        }
    }
}
