//! Which formats a profile reads and writes.

use propagation_core::{
    Format, Formats, InboundRule, OutboundRule, Policy, PropagatorBuilder, Scrub, policy::PolicyError,
};

/// A profile's name, and its formats by their names in `OTEL_PROPAGATORS`.
const FORMATS: [(&str, &str); 9] = [
    ("w3c", "tracecontext,baggage"),
    ("test", "tracecontext,baggage"),
    // Each of these two reads both.
    ("b3", "b3"),
    ("b3multi", "b3multi"),
    ("jaeger", "jaeger"),
    ("xray", "xray"),
    ("datadog", "datadog"),
    ("gcp", "gcp"),
    ("grpc-trace-bin", "grpc-trace-bin"),
];

/// A profile: the formats it reads, and those it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    read: (&'static str, &'static str),
    write: (&'static str, &'static str),
}

impl Profile {
    /// Every profile: each format alone, and each of them to each.
    pub fn all() -> impl Iterator<Item = (String, Self)> {
        FORMATS.into_iter().flat_map(|read| {
            let alone = (read.0.to_owned(), Self { read, write: read });
            let pairs =
                FORMATS.into_iter().map(move |write| (format!("{}-to-{}", read.0, write.0), Self { read, write }));
            std::iter::once(alone).chain(pairs)
        })
    }

    /// A propagator's builder with the profile's formats, and a policy that trusts everyone and lets all baggage through unscrubbed.
    ///
    /// # Errors
    ///
    /// None in practice: rules and names are constants.
    pub fn builder(self) -> Result<PropagatorBuilder, Box<dyn std::error::Error>> {
        Ok(propagation_core::Propagator::builder()
            .policy(open()?)
            .extract_formats(formats(self.read.1)?)
            .inject_formats(formats(self.write.1)?))
    }
}

fn formats(names: &str) -> Result<Vec<Box<dyn Format>>, propagation_core::format::FormatsError> {
    Ok(names.parse::<Formats>()?.into_vec())
}

fn open() -> Result<Policy, PolicyError> {
    Policy::builder()
        .inbound(InboundRule::peers(["*"]).named("everybody").allow("*"))
        .outbound(OutboundRule::peers(["*"]).named("everybody").allow("*"))
        .scrub(Scrub::off())
        .build()
}
