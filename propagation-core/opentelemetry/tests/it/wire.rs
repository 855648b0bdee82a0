//! A traceparent and an open policy, for tests that look at telemetry and not at rules.

use propagation_core::{InboundRule, OutboundRule, Policy, Propagator, Scrub};

pub(crate) const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) fn open() -> Propagator {
    Propagator::builder().policy(open_policy()).build()
}

/// Trusts every peer and lets all baggage through unscrubbed.
pub(crate) fn open_policy() -> Policy {
    let policy =
        Policy::builder().inbound(InboundRule::peers(["*"]).allow("*")).outbound(OutboundRule::peers(["*"]).allow("*"));
    policy.scrub(Scrub::off()).build().unwrap()
}
