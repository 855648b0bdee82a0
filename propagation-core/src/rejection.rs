//! What was refused, and why.

use std::fmt;

use crate::{EscapedText, RejectReason};

/// One thing that was refused, dropped, changed or cut, and why. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The field on the wire: `traceparent`, `tracestate`, `baggage`, `b3`, …
    pub field: &'static str,
    /// The key within the field, where it is known and fit to be shown: at most 64 bytes, and free of personal data.
    pub key: Option<Box<str>>,
    /// Why.
    pub reason: RejectReason,
    /// In report mode ([`RejectReason::ReportOnly`]): the reason for which the policy would have blocked it.
    pub underlying: Option<RejectReason>,
    /// What the policy says of it, where it was the policy that refused: the rule's name or the detector's.
    pub rule: Option<Box<str>>,
    /// Whether the inbound rule that admitted the current hop rejected it on an outgoing carrier.
    pub(crate) forwarded: bool,
}

impl Rejection {
    /// A whole field was refused.
    #[must_use]
    pub fn new(field: &'static str, reason: RejectReason) -> Self {
        Self { field, key: None, reason, underlying: None, rule: None, forwarded: false }
    }

    /// The same, naming the key; a long or unprintable key is left out.
    #[must_use]
    pub fn with_key(mut self, key: &[u8]) -> Self {
        let printable = key.len() <= 64 && key.iter().all(u8::is_ascii_graphic);
        self.key = std::str::from_utf8(key).ok().filter(|_| printable).map(Box::from);
        self
    }

    /// Turns it into a report: the policy let it cross and would have blocked it without report mode.
    #[must_use]
    pub(crate) fn reported(mut self) -> Self {
        self.underlying = Some(self.reason);
        self.reason = RejectReason::ReportOnly;
        self
    }

    /// The same, naming the rule or detector.
    #[must_use]
    pub fn with_rule(mut self, rule: &str) -> Self {
        self.rule = Some(rule.into());
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.field)?;
        if let Some(key) = &self.key {
            write!(f, " {}", EscapedText::new(key))?;
        }
        match self.underlying {
            Some(underlying) => write!(f, ": allowed by report mode, would be blocked: {underlying}")?,
            None => write!(f, ": {}", self.reason)?,
        }
        self.rule.as_ref().map_or(Ok(()), |rule| write!(f, " ({})", EscapedText::new(rule)))
    }
}
