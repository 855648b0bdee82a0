//! Redirects that a client follows below the layer, with the headers of the first host.

use std::sync::atomic::Ordering;

use propagation_core::{Direction, Peer, PropagationContext, Propagator, RejectReason, Rejection};

use super::Options;
use crate::attributes;

/// Returns `true` if the headers for host `first` must not be sent to host `next`.
pub(crate) fn releases_less(propagator: &Propagator, next: &str, first: &str) -> bool {
    let (next, first) = (attributes::policy_host(next), attributes::policy_host(first));
    next != first
        && propagator.is_enabled()
        && propagator.policy_guard().releases_less(&Peer::http(&next), &Peer::http(&first))
}

/// A warning that is logged once per client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Report {
    WithheldBaggage = 1,
    FollowedRedirect = 2,
}

impl Options {
    /// Returns `true` on the first call for a report.
    pub(crate) fn is_first(&self, report: Report) -> bool {
        let bit = report as u8;
        self.reported.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// Returns `true`, and counts it, if host `last` received headers of host `first` that the policy does not release to `last`.
    pub(crate) fn has_leaked(&self, context: &PropagationContext, first: &str, last: &str, baggage: bool) -> bool {
        let (first, last) = (attributes::policy_host(first), attributes::policy_host(last));
        if first == last || !self.propagator.is_enabled() {
            return false;
        }
        let policy = self.propagator.policy_guard();
        let sent = policy.release(&Peer::http(&first), context).context;
        let allowed = policy.release(&Peer::http(&last), context).context;
        let trace =
            sent.trace.has_ids() && (!allowed.trace.has_ids() || allowed.trace.state.len() < sent.trace.state.len());
        let baggage = baggage
            && sent.baggage.iter().any(|member| {
                allowed.baggage.member(member.key()).is_none_or(|allowed| allowed.value() != member.value())
            });
        if trace || baggage {
            let field = if trace { "traceparent" } else { "baggage" };
            let rejection = Rejection::new(field, RejectReason::UnsupportedOperation);
            self.propagator.record_rejection(Direction::Outbound, &Peer::http(&last), &rejection);
        }
        trace || baggage
    }
}
