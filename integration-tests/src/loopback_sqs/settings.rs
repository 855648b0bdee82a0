//! Queue attributes that a user sets.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::limits::{self, MAX_BYTES, MAX_DELAY, MAX_VISIBILITY, MAX_WAIT};
use super::refusal::Refusal;

/// A queue's settings, from `CreateQueue` and `SetQueueAttributes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) visibility: Duration,
    pub(super) delay: Duration,
    pub(super) wait: Duration,
    pub(super) max_bytes: usize,
    pub(super) redrive: Option<Redrive>,
    /// Kept and given back, but without effect here.
    inert: BTreeMap<String, String>,
}

/// Where messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redrive {
    /// The name of the dead-letter queue.
    pub(super) target: String,
    pub(super) max_receives: u32,
    /// The policy as it was set.
    text: String,
}

/// Attributes that are stored without effect, with their defaults.
const INERT: &[(&str, Option<&str>)] = &[
    ("KmsDataKeyReusePeriodSeconds", None),
    ("KmsMasterKeyId", None),
    ("MessageRetentionPeriod", Some("345600")),
    ("Policy", None),
    ("RedriveAllowPolicy", None),
    ("SqsManagedSseEnabled", Some("true")),
];
const FIFO_ONLY: &[&str] = &["ContentBasedDeduplication", "DeduplicationScope", "FifoQueue", "FifoThroughputLimit"];

impl Default for Settings {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            delay: Duration::ZERO,
            wait: Duration::ZERO,
            max_bytes: MAX_BYTES,
            redrive: None,
            inert: INERT
                .iter()
                .filter_map(|(name, default)| Some(((*name).to_owned(), (*default)?.to_owned())))
                .collect(),
        }
    }
}

impl Settings {
    /// Applies attributes of a request. `exists` checks whether a dead-letter target exists.
    pub(super) fn apply(
        &mut self,
        attributes: &BTreeMap<String, String>,
        exists: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        for (name, value) in attributes {
            let seconds = |most| number(name, value, 0, most).map(Duration::from_secs);
            match name.as_str() {
                "VisibilityTimeout" => self.visibility = seconds(MAX_VISIBILITY)?,
                "DelaySeconds" => self.delay = seconds(MAX_DELAY)?,
                "ReceiveMessageWaitTimeSeconds" => self.wait = seconds(MAX_WAIT)?,
                "MaximumMessageSize" => {
                    let most = i64::try_from(MAX_BYTES).unwrap_or(i64::MAX);
                    let bytes = number(name, value, 1024, most)?;
                    self.max_bytes = usize::try_from(bytes).unwrap_or(MAX_BYTES);
                }
                "MessageRetentionPeriod" => {
                    number(name, value, 60, 1_209_600)?;
                    self.inert.insert(name.clone(), value.clone());
                }
                // An empty policy takes the policy away.
                "RedrivePolicy" if value.is_empty() => self.redrive = None,
                "RedrivePolicy" => self.redrive = Some(Redrive::parse(value, &exists)?),
                other if FIFO_ONLY.contains(&other) => {
                    return Err(Refusal::unsupported("This endpoint has no FIFO queues."));
                }
                other if INERT.iter().any(|(inert, _)| *inert == other) => {
                    self.inert.insert(name.clone(), value.clone());
                }
                _ => return Err(Refusal::unknown_attribute(name)),
            }
        }
        Ok(())
    }

    /// Every attribute that is set or has a default.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let mut all = self.inert.clone();
        let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
        set("VisibilityTimeout", self.visibility.as_secs().to_string());
        set("DelaySeconds", self.delay.as_secs().to_string());
        set("MaximumMessageSize", self.max_bytes.to_string());
        set("ReceiveMessageWaitTimeSeconds", self.wait.as_secs().to_string());
        if let Some(redrive) = &self.redrive {
            set("RedrivePolicy", redrive.text.clone());
        }
        all
    }
}

impl Redrive {
    fn parse(text: &str, exists: impl Fn(&str) -> bool) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            dead_letter_target_arn: String,
            max_receive_count: Value,
        }

        let refuse = |reason: &str| Refusal::invalid_parameter(text, "RedrivePolicy", reason);
        let wire: Wire = serde_json::from_str(text).map_err(|_| refuse("Redrive policy is not a valid JSON map."))?;
        let target = match wire.dead_letter_target_arn.split(':').collect::<Vec<_>>().as_slice() {
            ["arn", _, "sqs", _, _, name] if !name.is_empty() => (*name).to_owned(),
            _ => return Err(refuse("Invalid value for deadLetterTargetArn.")),
        };
        // SDKs and templates write the count as a number or as a string.
        let max_receives = match &wire.max_receive_count {
            Value::Number(number) => number.as_u64(),
            Value::String(digits) => digits.parse().ok(),
            _ => None,
        };
        let max_receives = max_receives
            .filter(|count| (1..=1000).contains(count))
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| refuse("Invalid value for maxReceiveCount: must be between 1 and 1000."))?;
        if !exists(&target) {
            return Err(refuse("Dead letter target does not exist."));
        }
        Ok(Self { target, max_receives, text: text.to_owned() })
    }
}

fn number(name: &str, value: &str, least: i64, most: i64) -> Result<u64, Refusal> {
    value
        .parse()
        .ok()
        .and_then(|value| limits::in_range(name, value, least, most).ok())
        .ok_or_else(|| Refusal::invalid_attribute(name))
}
