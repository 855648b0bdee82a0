//! Looking for canaries in all that was seen, whatever they are disguised as.

use std::collections::HashSet;
use std::fmt;

use super::{Canaries, Canary, CanaryKind, Encoding};
use crate::assertions::assertions;
use crate::text::{base64, percent};
use crate::trace::span::shown;
use crate::trace::{AssertionFailure, Attributes, TraceGraph};
use crate::wire::Wire;

/// Texts to search: messages on the wire, spans, log lines.
#[derive(Debug, Clone, Default)]
pub struct Evidence(Vec<(String, Vec<u8>)>);

impl Evidence {
    /// Creates an empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds every field of every message, names and values. For a canary that may cross some hops, give only the messages
    /// of the others ([`Wire::only`]).
    #[must_use]
    pub fn wire(mut self, wire: &Wire) -> Self {
        for record in wire.records() {
            for field in &record.fields {
                let place = format!("{}, field `{}`", record.hop(), shown(&field.name));
                self.0.push((format!("the name of a field, {}", record.hop()), field.name.clone().into_bytes()));
                self.0.push((place, field.value.clone()));
            }
        }
        self
    }

    /// Adds all texts of spans: names, attributes, events, links, status, tracestate, resource.
    #[must_use]
    pub fn spans(mut self, graph: &TraceGraph) -> Self {
        for span in graph.spans() {
            let place = span.label();
            let mut add = |what: &str, text: String| {
                if !text.is_empty() {
                    self.0.push((format!("{place}, {what}"), text.into_bytes()));
                }
            };
            add("its name", span.name.clone());
            add("its tracestate", span.trace_state.clone());
            if let crate::trace::Status::Error(why) = &span.status {
                add("its status", why.clone());
            }
            let mut add_all = |what: &str, attributes: &Attributes| {
                for (key, value) in attributes.iter() {
                    add(&format!("{what} `{}`", shown(key)), format!("{key}={value}"));
                }
            };
            add_all("attribute", &span.attributes);
            add_all("resource attribute", &span.resource);
            for event in &span.events {
                add_all(&format!("event `{}`, attribute", shown(&event.name)), &event.attributes);
            }
            for link in &span.links {
                add_all("link attribute", &link.attributes);
            }
            for text in
                span.events.iter().map(|event| &event.name).chain(span.links.iter().map(|link| &link.trace_state))
            {
                add("an event or link", text.clone());
            }
        }
        self
    }

    /// Adds one line, or any other text.
    #[must_use]
    pub fn line(mut self, place: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        self.0.push((place.into(), text.into()));
        self
    }

    /// Adds each line of a log.
    #[must_use]
    pub fn lines(mut self, place: &str, text: &str) -> Self {
        let lines =
            text.lines().enumerate().map(|(at, line)| (format!("{place}, line {}", at + 1), line.as_bytes().to_vec()));
        self.0.extend(lines);
        self
    }
}

/// A canary found in the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CanaryMatch {
    /// The kind of the canary.
    pub kind: CanaryKind,
    /// The encoding in which it was found.
    pub encoding: Encoding,
    /// The location: message field, span attribute or log line.
    pub place: String,
}

impl fmt::Display for CanaryMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}: {}", self.kind, self.encoding, self.place)
    }
}

impl Canaries {
    /// Returns every location of a canary, each canary once a location.
    #[must_use]
    pub fn matches(&self, evidence: &Evidence) -> Vec<CanaryMatch> {
        let needles: Vec<(&Canary, Needle)> = self.iter().map(|canary| (canary, Needle::of(canary))).collect();
        let mut matches = Vec::new();
        for (place, text) in &evidence.0 {
            let views = views(text);
            for (canary, needle) in &needles {
                if let Some(encoding) = views.iter().find_map(|view| needle.is_in(view)) {
                    matches.push(CanaryMatch { kind: canary.kind, encoding, place: place.clone() });
                }
            }
        }
        matches
    }

    /// Checks that no canary is in the evidence, in any encoding.
    ///
    /// # Errors
    /// Lists each match. An empty collection is an error, too.
    pub fn absent(&self, evidence: &Evidence) -> Result<(), AssertionFailure> {
        let claim = AssertionFailure::new("no canary was seen");
        if evidence.0.is_empty() {
            return Err(claim.found("nothing at all was collected, so nothing is proved"));
        }
        let matches = self.matches(evidence);
        if matches.is_empty() {
            return Ok(());
        }
        let broken = matches.iter().fold(claim, |broken, found| broken.found(found.to_string()));
        Err(broken.cause("the policy allows its key for that peer and no detector knows it in that disguise, or it went around the policy"))
    }

    /// Checks that each canary is in the evidence: proves that [`absent`](Self::absent) can fail.
    ///
    /// # Errors
    /// Lists each canary that was not found.
    pub fn present(&self, evidence: &Evidence) -> Result<(), AssertionFailure> {
        let seen: HashSet<CanaryKind> = self.matches(evidence).into_iter().map(|found| found.kind).collect();
        let mut broken = AssertionFailure::new("each canary was seen while nothing was to stop it");
        let mut missing = false;
        for canary in self.iter().filter(|canary| !seen.contains(&canary.kind)) {
            missing = true;
            broken = broken.found(format!("{:?} is nowhere in {} texts", canary.kind, evidence.0.len()));
        }
        if missing {
            return Err(
                broken.cause("the policy is not off, the canary was never sent, or the evidence was not collected")
            );
        }
        Ok(())
    }
}

assertions! {
    Canaries:
    /// Asserts that no canary is in the evidence.
    assert_absent = absent(evidence: &Evidence);
    /// Asserts that each canary is in the evidence.
    assert_present = present(evidence: &Evidence);
}

/// A text with one layer of disguise taken off, in the forms that needles are compared with.
struct View {
    layer: Encoding,
    exact: String,
    folded: String,
    bare: String,
    wide: bool,
}

/// The text as it is, and with one and two layers of percent-encoding taken off.
fn views(text: &[u8]) -> Vec<View> {
    let mut layers = vec![(Encoding::Plain, text.to_vec())];
    for (layer, encoding) in [Encoding::Percent, Encoding::DoublePercent].into_iter().enumerate() {
        let Some((_, last)) = layers.get(layer) else { break };
        let decoded = percent::decode(last);
        if decoded == *last {
            break;
        }
        layers.push((encoding, decoded));
    }
    layers
        .into_iter()
        .map(|(layer, bytes)| {
            let text = String::from_utf8_lossy(&bytes);
            let narrow: String = text.chars().map(narrow).collect();
            View {
                layer,
                wide: narrow != text,
                folded: narrow.to_lowercase(),
                bare: bare(&narrow),
                // Both alphabets of base64 as one.
                exact: text.replace('-', "+").replace('_', "/"),
            }
        })
        .collect()
}

/// The search patterns of one canary.
struct Needle {
    folded: String,
    bare: Option<String>,
    base64: Vec<String>,
}

impl Needle {
    fn of(canary: &Canary) -> Self {
        let plain = canary.plain();
        // The base64 form of a text depends on its offset modulo 3: three variants, without the characters at
        // either end that the neighbours share.
        let base64 = (0..3_usize)
            .map(|before| {
                let padded = [vec![0; before], plain.as_bytes().to_vec()].concat();
                let whole = padded.len() * 8 / 6;
                let encoded = base64::encode(&padded);
                encoded.get((before * 8).div_ceil(6)..whole).unwrap_or_default().to_owned()
            })
            .collect();
        Self { folded: plain.to_lowercase(), bare: canary.kind.is_grouped().then(|| bare(plain)), base64 }
    }

    fn is_in(&self, view: &View) -> Option<Encoding> {
        if view.folded.contains(&self.folded) {
            return Some(if view.wide && view.layer == Encoding::Plain { Encoding::FullWidth } else { view.layer });
        }
        if self.base64.iter().any(|needle| view.exact.contains(needle)) {
            return Some(Encoding::Base64);
        }
        self.bare.as_ref().filter(|bare| view.bare.contains(bare.as_str())).map(|_| Encoding::Separated)
    }
}

fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        other => other,
    }
}

/// Letters and digits only, lower case.
fn bare(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
