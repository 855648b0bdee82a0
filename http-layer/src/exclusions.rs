//! Requests without spans.

use std::{fmt, sync::Arc};

use http::{Method, Uri};
use propagation_core::Glob;

use crate::client::Target;

/// Requests that get no span, by path and method. They still propagate the context.
///
/// A request is excluded if one of the conditions holds. For other conditions, see the `filter` method of the layers.
///
/// ```
/// use http::Method;
/// use propagation_core::Propagator;
/// use propagation_http::{Exclusions, ServerPropagationLayer};
///
/// let exclusions = Exclusions::health_checks()
///     .path("/metrics")
///     .path_prefix("/internal")
///     .path_glob("/tenants/*/ping")
///     .method(Method::OPTIONS);
/// let layer = ServerPropagationLayer::new(Propagator::default()).exclude(exclusions);
/// # let _ = layer;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Exclusions {
    paths: Vec<Paths>,
    methods: Vec<Method>,
    health_checks: bool,
}

#[derive(Clone, Debug)]
enum Paths {
    Exact(Box<str>),
    Below(Box<str>),
    Matching(Glob),
}

/// Paths that platforms and frameworks use for health checks.
const HEALTH: [&str; 12] = [
    "/health",
    "/healthz",
    "/livez",
    "/readyz",
    "/startupz",
    "/actuator/health",
    "/-/healthy",
    "/-/ready",
    "/_health",
    "/_healthz",
    "/__heartbeat__",
    "/__lbheartbeat__",
];

/// Calls of the gRPC health service.
const GRPC_HEALTH: &str = "/grpc.health.v1.Health/";

impl Exclusions {
    /// Excludes no request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Excludes health checks: GET and HEAD requests for `/health` and `/actuator/health`, also with further segments (`/health/live`), `/healthz`,
    /// `/livez`, `/readyz`, `/startupz`, `/-/healthy`, `/-/ready`, `/_health`, `/_healthz`, `/__heartbeat__` and `/__lbheartbeat__`; and calls
    /// of the gRPC health service.
    pub fn health_checks() -> Self {
        Self { health_checks: true, ..Self::default() }
    }

    /// Excludes a path, such as `/metrics`.
    pub fn path(mut self, path: &str) -> Self {
        self.paths.push(Paths::Exact(path.into()));
        self
    }

    /// Excludes a path and all paths below it: `/internal` excludes `/internal/status`, but not `/internals`.
    pub fn path_prefix(mut self, prefix: &str) -> Self {
        self.paths.push(Paths::Below(prefix.strip_suffix('/').unwrap_or(prefix).into()));
        self
    }

    /// Excludes paths by a pattern, in which `*` matches any run of characters, `/` included.
    pub fn path_glob(mut self, pattern: &str) -> Self {
        self.paths.push(Paths::Matching(Glob::new(pattern)));
        self
    }

    /// Excludes a method, such as `OPTIONS`.
    pub fn method(mut self, method: Method) -> Self {
        self.methods.push(method);
        self
    }

    /// Returns `true` if a request gets no span. Paths are compared as they are received, without the query.
    #[must_use]
    pub fn excludes(&self, method: &Method, path: &str) -> bool {
        self.paths.iter().any(|paths| paths.contain(path))
            || self.methods.contains(method)
            || self.health_checks && is_health_check(method, path)
    }
}

impl Paths {
    fn contain(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *path,
            Self::Below(prefix) => is_below(path, prefix),
            Self::Matching(pattern) => pattern.matches(path),
        }
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_health_check(method: &Method, path: &str) -> bool {
    path.starts_with(GRPC_HEALTH)
        || matches!(*method, Method::GET | Method::HEAD)
            && (HEALTH.contains(&path.strip_suffix('/').unwrap_or(path))
                || is_below(path, "/health")
                || is_below(path, "/actuator/health"))
}

type Function = dyn Fn(&Method, &Uri) -> bool + Send + Sync;

/// The requests of a client that get spans.
#[derive(Clone, Default)]
pub(crate) struct ClientFilter {
    pub(crate) exclusions: Exclusions,
    pub(crate) function: Option<Arc<Function>>,
}

impl ClientFilter {
    pub(crate) fn has_span(&self, method: &Method, target: &Target<'_>) -> bool {
        !self.exclusions.excludes(method, target.path)
            && self.function.as_ref().is_none_or(|function| function(method, &target.uri()))
    }
}

impl fmt::Debug for ClientFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFilter").field("exclusions", &self.exclusions).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_excluded_by_path_and_method() {
        let exclusions =
            Exclusions::new().path("/metrics").path_prefix("/internal/").path_glob("/t/*/ping").method(Method::OPTIONS);
        for (method, path, excluded) in [
            (Method::GET, "/metrics", true),
            (Method::POST, "/metrics", true),
            (Method::GET, "/metrics/", false),
            (Method::GET, "/internal", true),
            (Method::GET, "/internal/a/b", true),
            (Method::GET, "/internals", false),
            (Method::GET, "/t/7/ping", true),
            (Method::GET, "/t/7/ping/x", false),
            (Method::OPTIONS, "/orders", true),
            (Method::GET, "/healthz", false),
            (Method::GET, "/", false),
        ] {
            assert_eq!(exclusions.excludes(&method, path), excluded, "{method} {path}");
        }
        assert!(!Exclusions::new().excludes(&Method::GET, "/"));
        assert!(Exclusions::new().path_prefix("/").excludes(&Method::GET, "/orders"));
    }

    #[test]
    fn health_checks_are_get_requests_of_known_paths() {
        let exclusions = Exclusions::health_checks();
        for path in HEALTH.iter().copied().chain(["/healthz/", "/health/live", "/actuator/health/readiness"]) {
            assert!(exclusions.excludes(&Method::GET, path) && exclusions.excludes(&Method::HEAD, path), "{path}");
            assert!(!exclusions.excludes(&Method::POST, path), "{path}");
        }
        assert!(exclusions.excludes(&Method::POST, "/grpc.health.v1.Health/Check"));
        for path in ["/", "/healthy-food", "/orders/health", "/actuator/env", "/livez2"] {
            assert!(!exclusions.excludes(&Method::GET, path), "{path}");
        }
    }
}
