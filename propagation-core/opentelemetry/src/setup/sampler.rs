use std::str::FromStr;

use opentelemetry_sdk::trace::{Sampler, ShouldSample};

use super::{
    SetupError,
    variables::{Variables, refused},
};
use crate::sampling::{
    Adaptive, AlwaysOn, ComposableSampler, CompositeSampler, LinksBased, Probability, RateLimited, SdkSampler,
};

const NAME: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const BY_PARENT: &str = "parentbased_";

/// OpenTelemetry's default, `parentbased_always_on`.
pub(super) fn standard() -> Box<dyn ShouldSample> {
    ours(true, SdkSampler::new(Sampler::AlwaysOn))
}

/// The sampler that `OTEL_TRACES_SAMPLER` names; `None` for a name or a number that is ignored. The argument is read only if the sampler
/// takes one.
pub(super) fn read(read: &Variables<'_>) -> Result<Option<Box<dyn ShouldSample>>, SetupError> {
    let Some(name) = read.lower_case(NAME) else { return Ok(None) };
    read.accept(named(&name, read).map(Some))
}

fn named(name: &str, read: &Variables<'_>) -> Result<Box<dyn ShouldSample>, SetupError> {
    let (by_parent, root) = name.strip_prefix(BY_PARENT).map_or((false, name), |root| (true, root));
    let argument = Argument(read);
    // The SDK's own parent-based sampler takes a decision that the caller left open for a yes.
    let stock = |root: Sampler| -> Result<Box<dyn ShouldSample>, SetupError> {
        Ok(if by_parent { ours(true, SdkSampler::new(root)) } else { Box::new(root) })
    };
    match root {
        "always_on" => stock(Sampler::AlwaysOn),
        "always_off" => stock(Sampler::AlwaysOff),
        "traceidratio" => stock(Sampler::TraceIdRatioBased(argument.share()?)),
        "consistent_probability" => Ok(ours(by_parent, argument.probability()?)),
        "adaptive" => Ok(ours(by_parent, argument.rate(Adaptive::new)?)),
        "links_based" if by_parent => Ok(ours(true, LinksBased::new(argument.probability()?))),
        "rate_limited" if by_parent => Ok(ours(true, argument.rate(|rate| RateLimited::new(rate, AlwaysOn))?)),
        "links_based" | "rate_limited" => Err(refused(
            NAME,
            "names a sampler of traces, which would cut them into pieces without 'parentbased_' before its name",
        )),
        "jaeger_remote" | "xray" => Err(refused(NAME, "names a sampler that the SDK 0.33 does not have")),
        _ => Err(refused(
            NAME,
            "is none of always_on, always_off, traceidratio, consistent_probability, adaptive, rate_limited, links_based, \
             with 'parentbased_' before it or, but for the last two, without",
        )),
    }
}

fn ours(by_parent: bool, root: impl ComposableSampler + 'static) -> Box<dyn ShouldSample> {
    Box::new(if by_parent { CompositeSampler::parent_based(root) } else { CompositeSampler::new(root) })
}

struct Argument<'a>(&'a Variables<'a>);

impl Argument<'_> {
    /// Returns the share of all traces; 1 without a valid value, as the specification requires.
    fn share(&self) -> Result<f64, SetupError> {
        let share = self.0.first_of([ARGUMENT], |name, share| {
            let share = f64::from_str(share).ok().filter(|share| (0.0..=1.0).contains(share));
            share.ok_or(refused(name, "is not a number from 0 to 1"))
        })?;
        Ok(share.unwrap_or(1.0))
    }

    fn probability(&self) -> Result<Probability, SetupError> {
        Probability::new(self.share()?).map_err(|_| refused(ARGUMENT, "is above 0 and below 2^-56"))
    }

    /// A number of traces a second, which has no default.
    fn rate<S, E>(&self, sampler: impl FnOnce(f64) -> Result<S, E>) -> Result<S, SetupError> {
        let missing = refused(ARGUMENT, "is not set; this sampler needs to know how many traces to keep a second");
        let rate = self.0.get(ARGUMENT).ok_or(missing)?;
        let sampler = rate.parse().ok().and_then(|rate| sampler(rate).ok());
        sampler.ok_or(refused(ARGUMENT, "is not a number above zero: how many traces to keep a second"))
    }
}
