/// The caller's sampling decision, in the terms of all formats.
///
/// B3, X-Ray and Datadog can express more than the two flag bits of `traceparent`: a deferred decision, a debug flag that overrides
/// samplers, and a priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SamplingDecision {
    /// There is no decision yet: the next service decides.
    #[default]
    Defer,
    /// Not sampled.
    Drop,
    /// Sampled.
    Sample,
    /// Sampled, and no sampler on the way may drop it (B3 `d`).
    Debug,
    /// Datadog's priority: −1 user reject, 0 reject, 1 keep, 2 user keep.
    Priority(SamplingPriority),
}

impl SamplingDecision {
    /// Returns the decision of the sampled flag of a `traceparent`.
    #[must_use]
    pub const fn from_sampled(sampled: bool) -> Self {
        if sampled { Self::Sample } else { Self::Drop }
    }

    /// Returns whether the trace is sampled; `None` for a deferred decision.
    #[must_use]
    pub const fn decided(self) -> Option<bool> {
        match self {
            Self::Defer => None,
            Self::Drop => Some(false),
            Self::Sample | Self::Debug => Some(true),
            Self::Priority(priority) => Some(priority.keeps()),
        }
    }
}

/// A Datadog sampling priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SamplingPriority {
    /// −1: a user's rule drops it.
    UserReject,
    /// 0: the sampler drops it.
    Reject,
    /// 1: the sampler keeps it.
    Keep,
    /// 2: a user's rule keeps it.
    UserKeep,
}

impl SamplingPriority {
    /// Returns the number on the wire.
    #[must_use]
    pub const fn to_i8(self) -> i8 {
        match self {
            Self::UserReject => -1,
            Self::Reject => 0,
            Self::Keep => 1,
            Self::UserKeep => 2,
        }
    }

    /// Returns the priority of a number on the wire; `None` for an unknown number.
    #[must_use]
    pub const fn from_i8(number: i8) -> Option<Self> {
        match number {
            -1 => Some(Self::UserReject),
            0 => Some(Self::Reject),
            1 => Some(Self::Keep),
            2 => Some(Self::UserKeep),
            _ => None,
        }
    }

    const fn keeps(self) -> bool {
        matches!(self, Self::Keep | Self::UserKeep)
    }
}
