use std::{error::Error, fmt};

/// The reason why a bridge cannot make spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BridgeError {
    /// No subscriber of `tracing` is in force.
    NoSubscriber,
    /// The subscriber has no layer of `tracing-opentelemetry` in the version that the bridge works with, or hides it.
    LayerNotFound,
    /// Another layer starts spans as they are created, so that they cannot be given a parent.
    SpanAlreadyStarted,
    /// A filter disables the bridge's spans.
    SpansDisabled,
}

impl fmt::Display for BridgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSubscriber => {
                "no tracing subscriber is installed, so TracingBridge makes no spans: install one that has the layer of \
                 tracing-opentelemetry 0.34 (Setup::install does)"
            }
            Self::LayerNotFound => {
                "the tracing subscriber has no layer of tracing-opentelemetry 0.34 that TracingBridge can reach, so it makes no spans and \
                 passes the context through: if another crate brought another version (`cargo tree -i tracing-opentelemetry` \
                 shows which), build the layer with 0.34, or use OpenTelemetryBridge; if the layer is inside of \
                 tracing_subscriber::reload::Layer, which hides it, take it out and reload a filter"
            }
            Self::SpanAlreadyStarted => {
                "a layer of the tracing subscriber starts OpenTelemetry's spans as they are created, so TracingBridge cannot set their parent, \
                 makes no spans and passes the context through: remove the layer that asks for contexts in on_new_span, or use \
                 OpenTelemetryBridge"
            }
            Self::SpansDisabled => {
                "a filter disables the spans of the target `propagation`, so hops make no spans: add `propagation=info` to it \
                 (RUST_LOG=myapp=info,propagation=info)"
            }
        })
    }
}

impl Error for BridgeError {}
