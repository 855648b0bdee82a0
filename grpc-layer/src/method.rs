//! The method name of a call.

use propagation_core::{Attribute, Hop, HopSpan, Propagator, semconv, truncate_text};
use propagation_http::attributes::SpanNames;
use tonic::GrpcMethod;

use crate::methods::Methods;

/// The name of an unknown method: a caller must not choose span names and metric attributes.
const OTHER: &str = "_OTHER";

/// The maximum number of bytes kept of a path.
const MAX_PATH: usize = 1_024;

/// Parses a path of the form `/package.Service/Method`, and returns it without the leading slash.
pub(crate) fn full_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    let (service, method) = name.split_once('/')?;
    (!service.is_empty() && !method.is_empty() && !method.contains('/')).then_some(name)
}

/// Returns `true` for paths of the health and reflection services.
pub(crate) fn is_infrastructure(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.v1")
}

/// A method that is unknown when its call starts.
#[derive(Debug)]
pub(crate) struct UnknownMethod {
    methods: Methods,
    path: Box<str>,
}

impl UnknownMethod {
    /// Renames the hop after the method if the call proved that it exists. Otherwise records the caller's name as an attribute.
    pub(crate) fn settle(self, exists: bool, hop: &HopSpan) {
        match full_name(&self.path) {
            Some(name) if exists && self.methods.learn(name) => {
                hop.rename(name.to_owned());
                hop.set_attribute(semconv::RPC_METHOD, name.to_owned());
            }
            _ => {
                let original = self.path.strip_prefix('/').unwrap_or(&self.path);
                hop.set_attribute(semconv::RPC_METHOD_ORIGINAL, original.to_owned());
            }
        }
    }
}

/// The method name of a span, or the unknown method to settle at its end.
pub(crate) enum MethodName {
    /// A method that the service declares, with its name in memory that all spans share.
    Shared(&'static str),
    Known(String),
    Unknown(UnknownMethod),
}

impl MethodName {
    /// Looks up the method of a path.
    pub(crate) fn from_path(path: &str, methods: &Methods, names: &SpanNames, propagator: &Propagator) -> Self {
        match full_name(path) {
            Some(name) if methods.declares(name) => Self::declared(name, names, propagator),
            Some(name) if methods.has_learned(name) => Self::Known(name.to_owned()),
            _ => Self::Unknown(UnknownMethod { methods: methods.clone(), path: truncate_text(path, MAX_PATH).into() }),
        }
    }

    /// Returns the name of the method for which a client's call was generated.
    pub(crate) fn generated(method: &GrpcMethod<'_>, path: &str, names: &SpanNames, propagator: &Propagator) -> Self {
        let is_method = |name: &&str| name.split_once('/') == Some((method.service(), method.method()));
        match full_name(path).filter(is_method) {
            Some(name) => Self::declared(name, names, propagator),
            None => Self::Known([method.service(), "/", method.method()].concat()),
        }
    }

    fn declared(name: &str, names: &SpanNames, propagator: &Propagator) -> Self {
        match names.find(propagator, "", name) {
            Some(shared) => Self::Shared(shared.name),
            None => Self::Known(name.to_owned()),
        }
    }

    /// Sets name and attributes of a hop before its start. Returns the method if it is unknown.
    pub(crate) fn describe(self, hop: &mut Hop) -> Option<UnknownMethod> {
        // As many as a call usually has.
        hop.attributes.reserve(7);
        hop.attributes.push(Attribute::new(semconv::RPC_SYSTEM_NAME, "grpc"));
        match self {
            Self::Shared(name) => {
                hop.name = name.into();
                hop.attributes.push(Attribute::new(semconv::RPC_METHOD, name));
                None
            }
            Self::Known(name) => {
                hop.name = name.clone().into();
                hop.attributes.push(Attribute::new(semconv::RPC_METHOD, name));
                None
            }
            Self::Unknown(unknown) => {
                hop.name = OTHER.into();
                hop.attributes.push(Attribute::new(semconv::RPC_METHOD, OTHER));
                Some(unknown)
            }
        }
    }

    /// Sets name and attributes of a hop that an HTTP layer started. Returns the method if it is unknown.
    pub(crate) fn refine(self, hop: &HopSpan) -> Option<UnknownMethod> {
        hop.set_attribute(semconv::RPC_SYSTEM_NAME, "grpc");
        match self {
            Self::Shared(name) => {
                hop.rename(name);
                hop.set_attribute(semconv::RPC_METHOD, name);
                None
            }
            Self::Known(name) => {
                hop.rename(name.clone());
                hop.set_attribute(semconv::RPC_METHOD, name);
                None
            }
            Self::Unknown(unknown) => {
                hop.rename(OTHER);
                hop.set_attribute(semconv::RPC_METHOD, OTHER);
                Some(unknown)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_read_from_paths() {
        for (path, full) in [
            ("/shop.Orders/Place", Some("shop.Orders/Place")),
            ("/shop.Orders", None),
            ("/", None),
            ("/a/b/c", None),
            ("//Place", None),
            ("*", None),
        ] {
            assert_eq!(full_name(path), full, "{path}");
        }
    }
}
