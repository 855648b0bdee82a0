//! The policy as the guard of texts in spans, metrics and log lines.

use std::{borrow::Cow, ops::Range};

use super::Policy;
use crate::{
    TelemetryLimits, TextGuard, TraceContext,
    escape::{cut, escaped},
    hop::gate,
};

impl Policy {
    /// Returns whether a span or a log line may record a text that is not baggage.
    ///
    /// The scrubbers guard telemetry, whatever their action is for values that cross. `name` is the attribute's: one that hints at a
    /// secret makes the detectors stricter. A text beyond the [bound](TelemetryLimits) of values is not allowed; see
    /// [`guard_text`](Self::guard_text), which cuts it.
    ///
    /// ```
    /// use propagation_core::Policy;
    ///
    /// let policy = Policy::default();
    /// assert!(policy.allows_in_telemetry("kafka.message.key", "order-4711"));
    /// assert!(!policy.allows_in_telemetry("kafka.message.key", "anna@example.com"));
    /// ```
    #[must_use]
    pub fn allows_in_telemetry(&self, name: &str, text: &str) -> bool {
        text.len() <= self.telemetry.value && self.allows_text(name, text)
    }

    /// Returns a text as telemetry may record it: cut to the bound of values before the scrubbers scan it, control and bidirectional
    /// characters escaped. `None` if a scrubber rejects it.
    ///
    /// Attributes of hops pass this anyway; this is for log fields and other places.
    ///
    /// ```
    /// use propagation_core::Policy;
    ///
    /// let policy = Policy::default();
    /// assert_eq!(policy.guard_text("tenant.id", "blue\n").as_deref(), Some(r"blue\n"));
    /// assert_eq!(policy.guard_text("tenant.id", "anna@example.com"), None);
    /// ```
    #[must_use]
    pub fn guard_text<'a>(&self, name: &str, text: &'a str) -> Option<Cow<'a, str>> {
        gate::text(self, name, text, self.telemetry.value)
    }

    /// Like [`guard_text`](Self::guard_text), but replaces only the parts between separators that hold a finding: segments of a path.
    ///
    /// Scans the bounded text once.
    ///
    /// ```
    /// use propagation_core::Policy;
    ///
    /// let path = Policy::default().guard_parts("url.path", "/users/anna@example.com/orders", '/', "REDACTED");
    /// assert_eq!(path, "/users/REDACTED/orders");
    /// ```
    #[must_use]
    pub fn guard_parts(&self, name: &str, text: &str, separator: char, replacement: &str) -> String {
        let limit = self.telemetry.value;
        let (scanned, shown) = gate::bounds(text, limit);
        let found = self.scrub.spans_in(name.as_bytes(), scanned);
        if found.is_empty() {
            return escaped(shown, limit).into_owned();
        }
        let (mut out, mut at) = (String::with_capacity(shown.len()), 0_usize);
        for part in shown.split(separator) {
            if at > 0 {
                out.push(separator);
            }
            // An empty part holds nothing, and hides nothing.
            let holds = |span: &Range<usize>| span.start < at.saturating_add(part.len()) && at < span.end;
            out.push_str(if found.iter().any(holds) { replacement } else { part });
            at = at.saturating_add(part.len()).saturating_add(separator.len_utf8());
        }
        escaped(cut(&out, limit), limit).into_owned()
    }

    /// Returns the bounds of texts in telemetry.
    #[must_use]
    pub fn telemetry_limits(&self) -> TelemetryLimits {
        self.telemetry
    }
}

impl TextGuard for Policy {
    fn limits(&self) -> TelemetryLimits {
        self.telemetry
    }

    fn allows_text(&self, key: &str, text: &str) -> bool {
        // Attributes whose meaning is the address of a machine.
        let found = match key {
            "server.address"
            | "client.address"
            | "network.peer.address"
            | "network.local.address"
            | "url.full"
            | "aws.sqs.queue.url" => self.scrub.find_in_location(key.as_bytes(), text),
            _ => self.scrub.find_in(key.as_bytes(), text),
        };
        found.is_none() || self.scrub.is_own_pseudonym(text)
    }

    fn allows_link_state(&self, trace: &TraceContext) -> bool {
        self.scrub_state(&trace.state, None, &mut Vec::new()).is_none()
    }
}
