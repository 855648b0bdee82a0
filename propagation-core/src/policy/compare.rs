//! Comparison of outbound rules: a redirect may only be followed to a host that may receive no less than the first one.

use super::{KeyRule, OutboundRule, Policy, TraceStateRule};
use crate::Peer;

impl Policy {
    /// Returns true if `next` may receive less of some context than `first`: then a redirect from one to the other must not be followed with the
    /// headers that were written for `first`.
    ///
    /// Compares rules, not contexts. Returns true where it cannot prove that `next` may receive as much.
    ///
    /// ```
    /// use propagation_core::{OutboundRule, Peer, Policy};
    ///
    /// let policy = Policy::builder().outbound(OutboundRule::peers(["http:*.internal"]).allow("tenant.id")).build()?;
    /// let (orders, stock, other) = (Peer::http("orders.internal"), Peer::http("stock.internal"), Peer::http("example.com"));
    /// assert!(!policy.releases_less(&stock, &orders));
    /// assert!(policy.releases_less(&other, &orders));
    /// assert!(!policy.releases_less(&orders, &other));
    /// # Ok::<(), propagation_core::policy::PolicyError>(())
    /// ```
    #[must_use]
    pub fn releases_less(&self, next: &Peer<'_>, first: &Peer<'_>) -> bool {
        match (self.outbound_rule(next), self.outbound_rule(first)) {
            (None, None) => false,
            (Some(next), Some(first)) if std::ptr::eq(next, first) => false,
            (next, first) => {
                let (trace, state) = (releases_trace(next), state_of(next));
                (releases_trace(first) && (!trace || !covers_state(&state, &state_of(first))))
                    || !covers_baggage(next, first)
            }
        }
    }

    /// Returns `true` if a peer may receive trace context.
    ///
    /// ```
    /// use propagation_core::{OutboundRule, Peer, Policy, Transport};
    ///
    /// let policy = Policy::builder().outbound(OutboundRule::peers(["http:*"]).trace_context(false)).build()?;
    /// assert!(!policy.releases_trace_context(&Peer::caller(Transport::HTTP)));
    /// assert!(policy.releases_trace_context(&Peer::kafka("orders")));
    /// # Ok::<(), propagation_core::policy::PolicyError>(())
    /// ```
    #[must_use]
    pub fn releases_trace_context(&self, peer: &Peer<'_>) -> bool {
        releases_trace(self.outbound_rule(peer))
    }
}

fn releases_trace(rule: Option<&OutboundRule>) -> bool {
    rule.is_none_or(OutboundRule::releases_trace)
}

fn state_of(rule: Option<&OutboundRule>) -> TraceStateRule {
    rule.map_or(TraceStateRule::All, |rule| rule.state().clone())
}

fn covers_state(next: &TraceStateRule, first: &TraceStateRule) -> bool {
    match (next, first) {
        (TraceStateRule::All, _) | (_, TraceStateRule::None) => true,
        (TraceStateRule::None, TraceStateRule::Keys(first)) => first.is_empty(),
        (TraceStateRule::Keys(next), TraceStateRule::Keys(first)) => first.iter().all(|key| next.contains(key)),
        (TraceStateRule::None | TraceStateRule::Keys(_), TraceStateRule::All) => false,
    }
}

fn covers_baggage(next: Option<&OutboundRule>, first: Option<&OutboundRule>) -> bool {
    let keys = |rule: Option<&OutboundRule>| rule.map(|rule| (rule.keys().to_vec(), rule.reports()));
    let (next, next_reports) = keys(next).unwrap_or_default();
    let (first, first_reports) = keys(first).unwrap_or_default();
    if next_reports {
        // A rule in report mode lets every key pass as it is.
        return true;
    }
    !first_reports && first.iter().all(|key| covers_key(&next, key, &first))
}

/// Returns true if a key of `next` allows at least as much as `key`, and no key before it can decide otherwise.
fn covers_key(next: &[KeyRule], key: &KeyRule, first: &[KeyRule]) -> bool {
    for rule in next {
        if rule.covers(key) {
            return true;
        }
        let others_key = rule.key.is_exact() && key.key.is_exact() && rule.key != key.key;
        if !others_key && !first.iter().any(|first| first.equals(rule)) {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ScrubAction;

    #[test]
    fn rule_that_releases_less_is_detected() {
        let rule = |peer: &str| OutboundRule::peers([peer]);
        let tenant = || rule("http:first").allow("tenant.id");
        let listed = |values: &[&str]| rule("http:first").allow(KeyRule::new("tenant.id").values(values));
        for (first, next, less) in [
            (tenant(), rule("http:next"), true),
            (tenant(), rule("http:next").allow("plan"), true),
            (tenant(), rule("http:next").allow("tenant.id"), false),
            (tenant(), rule("http:next").allow("plan").allow("tenant.id"), false),
            (tenant(), rule("http:next").allow("*"), false),
            (rule("http:first").allow("tenant.id"), rule("http:next").allow("tenant.*"), false),
            (rule("http:first").allow("tenant.*"), rule("http:next").allow("tenant.id"), true),
            // Listed values must satisfy every constraint of the next rule.
            (listed(&["a", "ab"]), rule("http:next").allow(KeyRule::new("tenant.id").max_length(2)), false),
            (listed(&["a", "abc"]), rule("http:next").allow(KeyRule::new("tenant.id").max_length(2)), true),
            (listed(&["a"]), rule("http:next").allow(KeyRule::new("tenant.id").values(["a", "b"])), false),
            (listed(&["a", "c"]), rule("http:next").allow(KeyRule::new("tenant.id").values(["a", "b"])), true),
            (tenant(), rule("http:next").report_only(), false),
            (tenant(), rule("http:next").allow(KeyRule::new("tenant.id").max_length(3)), true),
            (tenant(), rule("http:next").allow(KeyRule::new("tenant.*").max_length(3)).allow("tenant.id"), true),
            (tenant(), rule("http:next").allow(KeyRule::new("tenant.id").action(ScrubAction::Redact)), true),
            (tenant(), rule("http:next").trace_context(false).allow("tenant.id"), true),
            (tenant(), rule("http:next").tracestate(TraceStateRule::None).allow("tenant.id"), true),
            (rule("http:first").report_only(), rule("http:next").allow("tenant.id"), true),
            (rule("http:first"), rule("http:next"), false),
            (rule("http:first").trace_context(false), rule("http:next").trace_context(false), false),
        ] {
            let shown = format!("{first:?} {next:?}");
            let policy = Policy::builder().outbound(first).outbound(next).build().unwrap();
            assert_eq!(policy.releases_less(&Peer::http("next"), &Peer::http("first")), less, "{shown}");
        }
        let policy = Policy::builder().outbound(tenant()).build().unwrap();
        assert!(policy.releases_less(&Peer::http("unknown"), &Peer::http("first")));
        assert!(!policy.releases_less(&Peer::http("first"), &Peer::http("unknown")));
    }
}
