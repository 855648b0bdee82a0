//! The policy as the guard of texts in spans, metrics and log lines.

use std::{borrow::Cow, ops::Range};

use super::Policy;
use crate::{
    Attribute, TelemetryLimits, TextGuard, TraceContext,
    escape::{cut, escaped},
    hop::gate,
    semconv,
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

    /// Returns an attribute as a bridge may receive it: an external value has passed [`guard_text`](Self::guard_text). `None` if a scrubber
    /// rejects it.
    ///
    /// Attributes of hops pass this anyway; this is for descriptions that an adapter keeps for several hops.
    #[must_use]
    pub fn guard_attribute(&self, attribute: Attribute) -> Option<Attribute> {
        gate::attribute(self, attribute)
    }

    /// Like [`guard_text`](Self::guard_text), but replaces only the parts between separators that hold a finding: segments of a path.
    ///
    /// Scans the bounded text once. Borrows a text that is shown as it is, or as its beginning.
    ///
    /// ```
    /// use propagation_core::Policy;
    ///
    /// let path = Policy::default().guard_parts("url.path", "/users/anna@example.com/orders", '/', "REDACTED");
    /// assert_eq!(path, "/users/REDACTED/orders");
    /// ```
    #[must_use]
    pub fn guard_parts<'a>(&self, name: &str, text: &'a str, separator: char, replacement: &str) -> Cow<'a, str> {
        let limit = self.telemetry.value;
        let (scanned, shown) = gate::bounds(text, limit);
        if self.clears(name, scanned) {
            return escaped(shown, limit);
        }
        let found = self.scrub.spans_in(name.as_bytes(), scanned);
        if found.is_empty() {
            return escaped(shown, limit);
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
        Cow::Owned(escaped(cut(&out, limit), limit).into_owned())
    }

    /// Cheap check of a text: returns true if the key is no hint and no detector can match. Most texts of requests pass it.
    fn clears(&self, key: &str, text: &str) -> bool {
        is_plain(key) && self.scrub.clears_text(text)
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
        if self.clears(key, text) {
            return true;
        }
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

/// Returns true for the keys of frequent attributes, none of which is a [hint](crate::scrub::key_hint). The empty key is that of names.
fn is_plain(key: &str) -> bool {
    matches!(
        key,
        "" | semconv::URL_PATH
            | semconv::URL_QUERY
            | semconv::URL_FULL
            | semconv::SERVER_ADDRESS
            | semconv::CLIENT_ADDRESS
            | semconv::RPC_METHOD
            | semconv::USER_AGENT_ORIGINAL
            | semconv::MESSAGING_DESTINATION_NAME
            | semconv::MESSAGING_MESSAGE_ID
            | semconv::KAFKA_MESSAGE_KEY
            | semconv::RABBITMQ_DESTINATION_ROUTING_KEY
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scrub, scrub};

    const KEYS: [&str; 14] = [
        "",
        "url.path",
        "url.query",
        "url.full",
        "server.address",
        "client.address",
        "rpc.method",
        "user_agent.original",
        "messaging.destination.name",
        "messaging.message.id",
        "kafka.message.key",
        "rabbitmq.destination.routing_key",
        "user.password",
        "tenant",
    ];

    #[test]
    fn plain_keys_are_no_hints() {
        for key in KEYS {
            assert!(!is_plain(key) || !scrub::key_hint(key.as_bytes()), "{key}");
        }
        assert_eq!(KEYS.iter().filter(|key| is_plain(key)).count(), KEYS.len() - 2);
    }

    #[test]
    fn cheap_check_clears_only_text_without_findings() {
        let texts = [
            "/orders/4711",
            "GET /orders/{id}",
            "shop.example",
            "/users/anna@example.com",
            "/users/anna%40example.com",
            "/4111111111111111",
            "10.1.2.3",
            "/v/ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "/reset/hunter2-Tr0ub4dor",
            "0664/1234567",
            "grün",
            "",
        ];
        let policy = Policy::default();
        for key in KEYS {
            for text in texts.iter().filter(|text| policy.clears(key, text)) {
                assert_eq!(policy.scrub.find_in(key.as_bytes(), text), None, "{key} {text}");
                assert_eq!(policy.guard_parts(key, text, '/', "REDACTED"), **text, "{key}");
            }
        }
        assert!(
            policy.clears("url.path", texts[0])
                && policy.clears("", texts[1])
                && policy.clears("server.address", texts[2])
        );
        assert!(!policy.clears("user.password", texts[0]));
    }

    #[test]
    fn pattern_of_the_policy_is_never_skipped() {
        let Ok(scrub) = Scrub::default().pattern("order", r"/orders/\d+") else { return };
        let policy = Policy::builder().scrub(scrub).build().unwrap();
        assert!(!policy.clears("url.path", "/orders/4711") && !policy.allows_text("url.path", "/orders/4711"));
        assert_eq!(policy.guard_parts("url.path", "/orders/4711", '/', "REDACTED"), "/REDACTED/REDACTED");
    }
}
