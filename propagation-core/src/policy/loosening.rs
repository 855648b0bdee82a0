//! Comparison of two policies: the ways in which a newer one allows more.

use std::{collections::BTreeSet, fmt};

use super::{
    ExistingOutsideHops, InboundRule, KeyRule, OutboundRule, Policy, Scrub, ScrubAction, SourceRule, TraceStateRule,
    TraceTrust, coverage::Coverage, peer_pattern::Peers,
};
use crate::{Direction, EscapedText, scrub::Detector};

/// One thing that a newer policy allows and an older one does not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loosening {
    /// The direction; `None` for the scrubbers.
    pub direction: Option<Direction>,
    /// The peer, as a rule of either policy names it; `*` for all peers without a rule.
    pub peer: Option<String>,
    /// The baggage key, as a rule of either policy names it.
    pub key: Option<String>,
    /// The change: `is allowed`, `trust is full instead of restart`, ….
    pub change: String,
}

impl fmt::Display for Loosening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(direction) = self.direction {
            write!(f, "{} ", direction.as_str())?;
        }
        if let Some(peer) = &self.peer {
            write!(f, "{}: ", EscapedText::new(peer))?;
        }
        if let Some(key) = &self.key {
            write!(f, "key {:?} ", EscapedText::new(key))?;
        }
        EscapedText::new(&self.change).fmt(f)
    }
}

impl Policy {
    /// Returns the ways in which a newer policy allows more than this one: for each peer that a rule of either names, trust, trace context,
    /// tracestate and each key; and the scrubbers.
    ///
    /// Peers are compared as the rules name them. Where patterns of two rules overlap and neither covers the other, the peers that match
    /// both are not compared.
    ///
    /// ```
    /// use propagation_core::{OutboundRule, Policy};
    ///
    /// let allow = |key| Policy::builder().outbound(OutboundRule::peers(["kafka:orders"]).allow(key)).build();
    /// let loosened = allow("tenant.id")?.loosened_by(&allow("tenant.*")?);
    /// assert_eq!(loosened[0].to_string(), "outbound kafka:orders: key \"tenant.*\" is allowed");
    /// # Ok::<(), propagation_core::policy::PolicyError>(())
    /// ```
    #[must_use]
    pub fn loosened_by(&self, newer: &Self) -> Vec<Loosening> {
        let mut found = Vec::new();
        of_scrub(&self.scrub, &newer.scrub, &mut |change| {
            found.push(Loosening { direction: None, peer: None, key: None, change });
        });
        if self.existing_outside_hops != newer.existing_outside_hops
            && newer.existing_outside_hops == ExistingOutsideHops::Keep
        {
            let change = "existing_outside_hops is keep instead of restart".to_owned();
            found.push(Loosening { direction: Some(Direction::Outbound), peer: None, key: None, change });
        }
        let scrub = (&self.scrub, &newer.scrub);
        let inbound = |rules| <[InboundRule]>::iter(rules).map(Settings::of_inbound).collect::<Vec<_>>();
        of_rules(Direction::Inbound, &inbound(&self.inbound), &inbound(&newer.inbound), scrub, &mut found);
        let outbound = |rules| <[OutboundRule]>::iter(rules).map(Settings::of_outbound).collect::<Vec<_>>();
        of_rules(Direction::Outbound, &outbound(&self.outbound), &outbound(&newer.outbound), scrub, &mut found);
        found
    }
}

/// The settings of a rule, of either direction.
struct Settings<'r> {
    peers: &'r Peers,
    trust: TraceTrust,
    trace_context: bool,
    state: &'r TraceStateRule,
    keys: &'r [KeyRule],
    sources: &'r [SourceRule],
    report: bool,
}

impl<'r> Settings<'r> {
    fn of_inbound(rule: &'r InboundRule) -> Self {
        let (peers, keys, report) = (rule.peer_patterns(), rule.keys(), rule.reports());
        let (trust, sources) = (rule.trust_level(), rule.sources());
        Self { peers, trust, trace_context: true, state: &TraceStateRule::All, keys, sources, report }
    }

    fn of_outbound(rule: &'r OutboundRule) -> Self {
        let (peers, keys, report) = (rule.peer_patterns(), rule.keys(), rule.reports());
        let (trace_context, state) = (rule.releases_trace(), rule.state());
        Self { peers, trust: TraceTrust::Full, trace_context, state, keys, sources: &[], report }
    }
}

type Scrubs<'a> = (&'a Scrub, &'a Scrub);

fn of_rules(
    direction: Direction,
    older: &[Settings<'_>],
    newer: &[Settings<'_>],
    scrub: Scrubs<'_>,
    found: &mut Vec<Loosening>,
) {
    // The defaults, for peers that no rule is for.
    let no_peers = Peers::new([""; 0]);
    let default = Settings {
        peers: &no_peers,
        trust: TraceTrust::Full,
        trace_context: true,
        state: &TraceStateRule::All,
        keys: &[],
        sources: &[],
        report: false,
    };
    let older_index = Coverage::of(older.iter().map(|rule| rule.peers));
    let newer_index = Coverage::of(newer.iter().map(|rule| rule.peers));
    let everyone = Peers::new(["*"]);
    let mut seen = BTreeSet::new();
    let rules = older.iter().chain(newer).map(|rule| rule.peers);
    for pattern in rules.chain([&everyone]).flat_map(Peers::iter) {
        let peer = pattern.describe();
        if !seen.insert(peer.clone()) {
            continue;
        }
        let before = older_index.first_covering(pattern).and_then(|at| older.get(at)).unwrap_or(&default);
        let after = newer_index.first_covering(pattern).and_then(|at| newer.get(at)).unwrap_or(&default);
        of_settings(before, after, scrub, &mut |key, change| {
            let (direction, peer) = (Some(direction), Some(peer.clone()));
            found.push(Loosening { direction, peer, key: key.map(str::to_owned), change });
        });
    }
}

/// Takes a change, of a key or of the whole rule.
type Found<'a> = dyn FnMut(Option<&str>, String) + 'a;

fn of_settings(before: &Settings<'_>, after: &Settings<'_>, scrub: Scrubs<'_>, found: &mut Found<'_>) {
    if strictness(after.trust) < strictness(before.trust) {
        found(None, format!("trust is {} instead of {}", after.trust.as_str(), before.trust.as_str()));
    }
    if after.trace_context && !before.trace_context {
        found(None, "trace context is sent".to_owned());
    }
    of_state(before.state, after.state, found);
    of_sources(before.sources, after.sources, found);
    if after.report && !before.report {
        found(None, "report mode lets every key pass".to_owned());
    }
    if before.report || after.report {
        return;
    }
    let mut seen = BTreeSet::new();
    for key in before.keys.iter().chain(after.keys) {
        if !seen.insert(key.key.as_str()) {
            continue;
        }
        let decides = |keys: &[KeyRule]| keys.iter().position(|other| other.key.covers(&key.key));
        let Some(new) = decides(after.keys).and_then(|at| after.keys.get(at)) else { continue };
        match decides(before.keys).and_then(|at| before.keys.get(at)) {
            None => found(Some(key.key.as_str()), "is allowed".to_owned()),
            Some(old) => {
                let action = |key: &KeyRule, scrub: &Scrub| key.chosen_action().unwrap_or(scrub.chosen_action());
                let (was, is) = (action(old, scrub.0), action(new, scrub.1));
                for change in old.loosened_by(new) {
                    found(Some(key.key.as_str()), change.to_owned());
                }
                if new.is_scrubbed() && old.is_scrubbed() && mildness(is) > mildness(was) {
                    let change = format!("findings: {} instead of {}", is.as_str(), was.as_str());
                    found(Some(key.key.as_str()), change);
                }
            }
        }
    }
}

fn of_sources(before: &[SourceRule], after: &[SourceRule], found: &mut Found<'_>) {
    for new in after {
        let key = new.key.key.as_str();
        let known = before.iter().find(|old| old.source() == new.source() && old.key.key == new.key.key);
        match known {
            None => found(Some(key), format!("is taken from the {}", new.source())),
            Some(old) => {
                for change in old.key.loosened_by(&new.key) {
                    found(Some(key), format!("from the {}: {change}", new.source()));
                }
            }
        }
    }
}

fn of_state(before: &TraceStateRule, after: &TraceStateRule, found: &mut Found<'_>) {
    match (before, after) {
        (TraceStateRule::All, _) | (_, TraceStateRule::None) => {}
        (_, TraceStateRule::All) => found(None, "all of tracestate is sent".to_owned()),
        (before, TraceStateRule::Keys(keys)) => {
            let known = if let TraceStateRule::Keys(known) = before { known.as_slice() } else { &[] };
            for key in keys.iter().filter(|key| !known.contains(key)) {
                found(None, format!("tracestate member {key:?} is sent"));
            }
        }
    }
}

fn of_scrub(before: &Scrub, after: &Scrub, found: &mut dyn FnMut(String)) {
    for detector in Detector::ALL {
        if before.detectors().contains(*detector) && !after.detectors().contains(*detector) {
            found(format!("detector {:?} is off", detector.name()));
        }
    }
    for (name, expression) in before.expressions() {
        if !after.expressions().any(|other| other.1 == expression) {
            found(format!("pattern {name:?} is off or changed"));
        }
    }
    let (old, new) = (before.chosen_action(), after.chosen_action());
    if mildness(new) > mildness(old) {
        found(format!("findings: {} instead of {}", new.as_str(), old.as_str()));
    }
}

/// Orders levels of trust from loose to strict. Restarted and ignored traces are equally far from being continued.
fn strictness(trust: TraceTrust) -> u8 {
    match trust {
        TraceTrust::Full => 0,
        TraceTrust::IdsOnly => 1,
        TraceTrust::RestartWithLink => 2,
        TraceTrust::Restart | TraceTrust::Ignore => 3,
    }
}

/// Orders actions by how much of a finding crosses.
fn mildness(action: ScrubAction) -> u8 {
    match action {
        ScrubAction::Drop => 0,
        ScrubAction::Redact | ScrubAction::Pseudonymize => 1,
        ScrubAction::Mask => 2,
    }
}
