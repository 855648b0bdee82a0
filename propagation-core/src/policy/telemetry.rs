use super::Policy;

impl Policy {
    /// Whether a span or a log line may say a text that is not baggage: a message key, a routing key, an exception's message.
    ///
    /// The scrubbers guard what telemetry says, too: what they object to is to be left out, whatever their action is for
    /// values that cross. `name` is the attribute's: one that tells of a secret makes more suspicious.
    ///
    /// ```
    /// use propagation_core::Policy;
    ///
    /// let policy = Policy::default();
    /// assert!(policy.lets_telemetry_say("messaging.kafka.message.key", "order-4711"));
    /// assert!(!policy.lets_telemetry_say("messaging.kafka.message.key", "anna@example.com"));
    /// ```
    #[must_use]
    pub fn lets_telemetry_say(&self, name: &str, text: &str) -> bool {
        self.scrub.find_in(name.as_bytes(), text).is_none()
    }
}
