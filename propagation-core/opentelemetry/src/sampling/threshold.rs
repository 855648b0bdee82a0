use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    str::FromStr,
};

use propagation_core::{TraceId, model::ot};

/// The number of bits of thresholds and randomness.
const BITS: u32 = 56;
/// Hex digits of [`BITS`].
const DIGITS: u32 = 14;
/// 2⁵⁶: the number of different values of randomness, and the highest adjusted count.
const RANGE: u64 = 1 << BITS;

/// A rejection threshold, `th` in tracestate's `ot`: the number of traces out of 2⁵⁶ that are not sampled.
///
/// A higher threshold means a lower probability. Written as 1 to 14 hex digits, without the zeros at the end (OpenTelemetry,
/// TraceState Handling, "Sampling threshold value th").
///
/// ```
/// use propagation_opentelemetry::sampling::{Randomness, Threshold};
///
/// let quarter = Threshold::from_probability(0.25)?;
/// assert_eq!(quarter.to_string(), "c");
/// assert_eq!(quarter.adjusted_count(), 4.0);
/// let trace = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// assert!(quarter.keeps(Randomness::of(trace)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u64);

impl Threshold {
    /// The threshold of probability 1.
    pub const ALWAYS: Self = Self(0);
    /// The number of hex digits of [`from_probability`](Self::from_probability), as OpenTelemetry recommends.
    pub const PRECISION: u32 = 4;

    /// Returns the threshold that rejects `rejected` of 2⁵⁶ traces; `None` from 2⁵⁶ on.
    #[must_use]
    pub const fn new(rejected: u64) -> Option<Self> {
        if rejected < RANGE { Some(Self(rejected)) } else { None }
    }

    /// Returns the threshold of a probability, rounded to [`PRECISION`](Self::PRECISION) significant digits to stay short on the wire.
    ///
    /// # Errors
    ///
    /// Returns an error for a number outside 2⁻⁵⁶ to 1. For zero use a sampler that drops everything.
    pub fn from_probability(probability: f64) -> Result<Self, SamplerError> {
        Self::with_precision(probability, Self::PRECISION)
    }

    /// Like [`from_probability`](Self::from_probability), with 1 to 14 digits. Leading `f`s of small probabilities are not counted.
    ///
    /// # Errors
    ///
    /// As for [`from_probability`](Self::from_probability).
    #[expect(clippy::cast_possible_truncation, reason = "at most 2⁵⁶, and rounded before")]
    pub fn with_precision(probability: f64, digits: u32) -> Result<Self, SamplerError> {
        let scaled = probability * RANGE as f64;
        if !(1.0..=RANGE as f64).contains(&scaled) {
            return Err(SamplerError("a probability is a number from 2^-56 to 1"));
        }
        let kept = scaled.round() as u64;
        // p = m · 2ᵉ with m from ½ to 1: each four of -e are one leading `f`.
        let leading = kept.leading_zeros().saturating_sub(u64::BITS - BITS) / 4;
        let shift = BITS - 4 * (digits.max(1) + leading).min(DIGITS);
        let half = (1_u64 << shift) / 2;
        // Never up to 2⁵⁶: the first digit behind the `f`s is none.
        Ok(Self((RANGE - kept + half) >> shift << shift))
    }

    /// Returns the number of rejected traces out of 2⁵⁶.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// Returns the probability that a trace is sampled.
    #[must_use]
    pub fn probability(self) -> f64 {
        (RANGE - self.0) as f64 / RANGE as f64
    }

    /// Returns the number of traces that a sampled trace represents.
    #[must_use]
    pub fn adjusted_count(self) -> f64 {
        1.0 / self.probability()
    }

    /// Returns `true` if a trace with this randomness is sampled (Probability Sampling, "Decision algorithm").
    #[must_use]
    pub const fn keeps(self, randomness: Randomness) -> bool {
        randomness.0 >= self.0
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:014x}", self.0);
        let short = digits.trim_end_matches('0');
        f.pad(if short.is_empty() { "0" } else { short })
    }
}

impl FromStr for Threshold {
    type Err = SamplerError;

    /// Parses 1 to 14 lower-case hex digits; missing digits at the end are zeros.
    ///
    /// # Errors
    ///
    /// Returns an error for any other text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ot::threshold_of(text).map(Self).ok_or(SamplerError("a threshold is 1 to 14 lower-case hex digits"))
    }
}

/// The 56 bits that every sampler of a trace compares with its threshold: `rv` in tracestate's `ot` or, without one, the
/// last seven bytes of the trace id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Randomness(u64);

impl Randomness {
    /// Creates a randomness from its bits; `None` from 2⁵⁶ on.
    #[must_use]
    pub const fn new(bits: u64) -> Option<Self> {
        if bits < RANGE { Some(Self(bits)) } else { None }
    }

    /// Returns the randomness of a trace-id (Trace Context Level 2, "Randomness of trace-id"). Every trace-id is presumed random,
    /// independent of the random flag (OpenTelemetry, SDK, "Presumption of TraceID randomness").
    #[must_use]
    pub fn of(trace_id: TraceId) -> Self {
        Self::of_bytes(trace_id.to_bytes())
    }

    pub(crate) fn of_bytes(trace_id: [u8; 16]) -> Self {
        let [.., _, a, b, c, d, e, f, g] = trace_id;
        Self(u64::from_be_bytes([0, a, b, c, d, e, f, g]))
    }

    /// Generates a randomness.
    #[must_use]
    pub fn random() -> Self {
        // Keyed once a thread from the system's randomness and counted on: even, and not for secrets.
        Self(RandomState::new().build_hasher().finish() >> (u64::BITS - BITS))
    }

    /// Returns the bits.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:014x}", self.0))
    }
}

impl FromStr for Randomness {
    type Err = SamplerError;

    /// Parses exactly 14 lower-case hex digits.
    ///
    /// # Errors
    ///
    /// Returns an error for any other text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ot::randomness_of(text).map(Self).ok_or(SamplerError("a randomness is 14 lower-case hex digits"))
    }
}

/// A number is not a valid probability or rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplerError(pub(crate) &'static str);

impl fmt::Display for SamplerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for SamplerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probability_rounds_to_the_thresholds_of_the_specification() {
        for (probability, thresholds) in [
            (1.0, ["0", "0", "0"]),
            (1.0 / 2.0, ["8", "8", "8"]),
            (1.0 / 3.0, ["aab", "aaab", "aaaab"]),
            (1.0 / 4.0, ["c", "c", "c"]),
            (1.0 / 5.0, ["ccd", "cccd", "ccccd"]),
            (1.0 / 8.0, ["e", "e", "e"]),
            (1.0 / 10.0, ["e66", "e666", "e6666"]),
            (1.0 / 16.0, ["f", "f", "f"]),
            (1e-2, ["fd71", "fd70a", "fd70a4"]),
            (1e-3, ["ffbe7", "ffbe77", "ffbe76d"]),
            (1e-4, ["fff972", "fff9724", "fff97247"]),
            (1e-5, ["ffff584", "ffff583a", "ffff583a5"]),
            (1e-6, ["ffffef4", "ffffef39", "ffffef391"]),
        ] {
            let read = [3, 4, 5].map(|digits| Threshold::with_precision(probability, digits).unwrap().to_string());
            assert_eq!(read, thresholds, "{probability}");
        }
    }

    #[test]
    fn invalid_probability_is_rejected() {
        for probability in [0.0, -0.1, 1.000_001, f64::NAN, f64::INFINITY, 2f64.powi(-57)] {
            assert!(Threshold::from_probability(probability).is_err(), "{probability}");
        }
        assert_eq!(Threshold::from_probability(2f64.powi(-56)).unwrap().to_string(), "ffffffffffffff");
    }

    #[test]
    fn randomness_at_or_above_the_threshold_is_sampled() {
        let randomness = |bits| Randomness::new(bits).unwrap();
        let quarter: Threshold = "c".parse().unwrap();
        assert!(quarter.keeps(randomness(0xc0_0000_0000_0000)));
        assert!(!quarter.keeps(randomness(0xbf_ffff_ffff_ffff)));
        assert!(Threshold::ALWAYS.keeps(randomness(0)));
        assert_eq!((Threshold::new(RANGE), Randomness::new(RANGE)), (None, None));
    }

    #[test]
    fn randomness_is_the_last_seven_bytes_of_the_trace_id() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
        assert_eq!(Randomness::of(id).to_string(), "ce929d0e0e4736");
    }

    #[test]
    fn new_randomness_is_spread_over_all_its_bits() {
        let (any, all) = (0..1_000).fold((0, u64::MAX), |(any, all), _| {
            let bits = Randomness::random().to_u64();
            (any | bits, all & bits)
        });
        assert_eq!((any, all), (RANGE - 1, 0));
    }
}
