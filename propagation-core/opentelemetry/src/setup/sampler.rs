use std::str::FromStr;

use opentelemetry_sdk::trace::{Sampler, ShouldSample};

use super::{StartUpError, settings::refused};
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

/// The sampler that `OTEL_TRACES_SAMPLER` names. The argument is looked at only if it names one that takes it.
pub(super) fn read(look_up: &dyn Fn(&str) -> Option<String>) -> Result<Option<Box<dyn ShouldSample>>, StartUpError> {
    // Names are the same in any case (OpenTelemetry's environment variables, Enum).
    let Some(name) = look_up(NAME).map(|name| name.to_ascii_lowercase()) else { return Ok(None) };
    let (by_parent, root) = name.strip_prefix(BY_PARENT).map_or((false, name.as_str()), |root| (true, root));
    let argument = Argument(look_up);
    // The SDK's own parent-based sampler takes a decision that the caller left open for a yes.
    let stock = |root: Sampler| -> Result<Box<dyn ShouldSample>, StartUpError> {
        Ok(if by_parent { ours(true, SdkSampler::new(root)) } else { Box::new(root) })
    };
    match root {
        "always_on" => stock(Sampler::AlwaysOn),
        "always_off" => stock(Sampler::AlwaysOff),
        "traceidratio" => stock(Sampler::TraceIdRatioBased(argument.share()?)),
        "consistent_probability" => Ok(ours(by_parent, argument.probability()?)),
        "adaptive" => Ok(ours(by_parent, argument.rate(Adaptive::new)?)),
        "links_based" if by_parent => Ok(ours(true, LinksBased::new(argument.probability()?))),
        "rate_limited" if by_parent => {
            Ok(ours(true, argument.rate(|rate| RateLimited::new(rate, AlwaysOn))?))
        }
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
    .map(Some)
}

fn ours(by_parent: bool, root: impl ComposableSampler + 'static) -> Box<dyn ShouldSample> {
    Box::new(if by_parent { CompositeSampler::parent_based(root) } else { CompositeSampler::new(root) })
}

struct Argument<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Argument<'_> {
    /// A share of all traces; 1 where nothing is said.
    fn share(&self) -> Result<f64, StartUpError> {
        let Some(share) = (self.0)(ARGUMENT) else { return Ok(1.0) };
        f64::from_str(&share)
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or(refused(ARGUMENT, "is not a number from 0 to 1"))
    }

    fn probability(&self) -> Result<Probability, StartUpError> {
        Probability::new(self.share()?).map_err(|_| refused(ARGUMENT, "is above 0 and below 2^-56"))
    }

    /// So many a second, which must be said.
    fn rate<S, E>(&self, sampler: impl FnOnce(f64) -> Result<S, E>) -> Result<S, StartUpError> {
        let missing = refused(ARGUMENT, "is not set; this sampler needs to know how many traces to keep a second");
        let rate = (self.0)(ARGUMENT).ok_or(missing)?;
        let sampler = rate.parse().ok().and_then(|rate| sampler(rate).ok());
        sampler.ok_or(refused(ARGUMENT, "is not a number above zero: how many traces to keep a second"))
    }
}
