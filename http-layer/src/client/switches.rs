/// Defines the options that the tower layer and the middleware of reqwest share.
macro_rules! client_options {
    () => {
        /// Sets which query values of URLs are redacted.
        #[must_use]
        pub fn with_redaction(mut self, redaction: $crate::Redaction) -> Self {
            self.options_mut().redaction = redaction;
            self
        }

        /// Adds request headers to record as attributes. By default no header is recorded.
        #[must_use]
        pub fn record_request_headers(mut self, names: impl IntoIterator<Item = http::HeaderName>) -> Self {
            self.options_mut().headers.request.extend(names);
            self
        }

        /// Adds response headers to record as attributes. By default no header is recorded.
        #[must_use]
        pub fn record_response_headers(mut self, names: impl IntoIterator<Item = http::HeaderName>) -> Self {
            self.options_mut().headers.response.extend(names);
            self
        }

        /// Adds headers that hold credentials. They are never recorded, even if listed.
        ///
        /// Standard and well-known credential headers (`authorization`, `set-cookie`, `x-api-key`, …) and values marked as sensitive are
        /// never recorded either.
        #[must_use]
        pub fn with_credential_headers(mut self, names: impl IntoIterator<Item = http::HeaderName>) -> Self {
            self.options_mut().headers.credentials.extend(names);
            self
        }

        /// Sets the methods that appear in span names and metrics. Any other method is `_OTHER`.
        #[must_use]
        pub fn with_known_methods(mut self, methods: $crate::KnownMethods) -> Self {
            self.options_mut().methods = methods;
            self
        }

        /// Adds hosts that metrics record as `server.address`, besides those in outbound rules of the policy.
        ///
        /// One `*` in a host matches any run of characters. At most 256 hosts that match only a pattern are recorded. Other hosts appear
        /// on spans only: with URLs that customers choose, each host would create a time series.
        #[must_use]
        pub fn with_known_hosts<I: IntoIterator<Item = S>, S: AsRef<str>>(mut self, hosts: I) -> Self {
            self.options_mut().hosts.declare(hosts);
            self
        }

        /// Limits the total size of the propagated headers, as HTTP/2 counts it (name, value and 32 bytes each). Unlimited by default.
        ///
        /// Baggage is dropped first, then `tracestate` is truncated by whole list-members. Both are counted as rejections.
        #[must_use]
        pub fn with_header_limit(mut self, bytes: usize) -> Self {
            self.options_mut().header_limit = Some(bytes);
            self
        }

        /// Excludes requests from spans by path and method. They still propagate the context.
        #[must_use]
        pub fn exclude(mut self, exclusions: $crate::Exclusions) -> Self {
            self.options_mut().filter.exclusions = exclusions;
            self
        }

        /// Sets which requests get a span, besides [excluded](Self::exclude) ones. Other requests propagate the context without a span.
        #[must_use]
        pub fn filter(mut self, filter: impl Fn(&http::Method, &http::Uri) -> bool + Send + Sync + 'static) -> Self {
            self.options_mut().filter.function = Some(std::sync::Arc::new(filter));
            self
        }

        fn options_mut(&mut self) -> &mut $crate::client::Options {
            std::sync::Arc::make_mut(&mut self.options)
        }
    };
}

pub(crate) use client_options;
