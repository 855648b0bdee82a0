//! Amazon's and Google's: X-Ray, `x-cloud-trace-context`, `grpc-trace-bin`.

use propagation_core::{
    RejectReason, SamplingDecision,
    format::{GoogleCloudFormat, GrpcTraceBinFormat, XRayFormat},
};

use super::{Make, SPAN, SPAN_DECIMAL, TRACE, check, check_bare, check_roots};

#[test]
fn x_ray_accepts_any_order_and_unknown_fields() {
    let one = |text: &str| [("X-Amzn-Trace-Id", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let root = format!("Root=1-{}-{}", &TRACE[..8], &TRACE[8..]);
    let parent = format!("Parent={SPAN}");
    let make: Make = || Box::new(XRayFormat::new());
    check(
        make,
        &[
            (&one(&format!("{root};{parent};Sampled=1")), SamplingDecision::Sample),
            (&one(&format!("Sampled=0;{parent};{root}")), SamplingDecision::Drop),
            (&one(&format!("{root};{parent};Sampled=?")), SamplingDecision::Defer),
            (&one(&format!("{root};{parent}")), SamplingDecision::Defer),
            (&one(&format!("{root}; {parent} ;\tSampled=1;")), SamplingDecision::Sample),
            (&one(&format!("Self=1-x-y;{root};{parent};Lineage=a:1|b:2;CalledFrom=app;odd")), SamplingDecision::Defer),
        ],
        &[
            (&one(&format!("{root};{parent};Sampled=2")), RejectReason::Malformed),
            (&one(&format!("{root};{parent};Sampled=")), RejectReason::Malformed),
            (&one(&format!("{root};{root};{parent}")), RejectReason::Duplicate),
            (&one(&format!("Root=2{};{parent}", &root[6..])), RejectReason::UnsupportedVersion),
            (&one(&format!("Root={TRACE};{parent}")), RejectReason::Malformed),
            (&one(&format!("Root=1-{}-{};{parent}", &TRACE[..9], &TRACE[9..])), RejectReason::Malformed),
            (&one(&format!("{};{parent}", root.to_uppercase().replace("ROOT", "Root"))), RejectReason::Malformed),
            (&one(&format!("{root};Parent={}", &SPAN[1..])), RejectReason::Malformed),
            (&one(&format!("{root};Parent=0000000000000000")), RejectReason::ZeroId),
            (&one(&format!("{root};{parent};x={}", "y".repeat(2000))), RejectReason::TooManyBytes),
        ],
    );
    check_bare(
        make,
        &[(&one(&format!("{parent};Sampled=0")), SamplingDecision::Drop), (&one(""), SamplingDecision::Defer)],
    );
    check_roots(
        make,
        &[
            (&one(&format!("{root};Sampled=0")), SamplingDecision::Drop),
            (&one(&format!("{root};Sampled=?")), SamplingDecision::Defer),
            (&one(&root), SamplingDecision::Defer),
            (&one(&format!("Parent=;Sampled=1;{root}")), SamplingDecision::Sample),
            (&one(&format!("Self=1-67891234-12456789abcdef012345678;{root};Parent= ;x")), SamplingDecision::Defer),
        ],
    );
}

#[test]
fn google_cloud_options_are_optional() {
    let one = |text: &str| [("x-cloud-trace-context", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let id = format!("{TRACE}/{SPAN_DECIMAL}");
    let make: Make = || Box::new(GoogleCloudFormat);
    check(
        make,
        &[
            (&one(&id), SamplingDecision::Defer),
            (&one(&format!("{id};o=")), SamplingDecision::Defer),
            (&one(&format!("{id};o=0")), SamplingDecision::Drop),
            (&one(&format!("{id};o=1")), SamplingDecision::Sample),
            (&one(&format!("{id};o=2")), SamplingDecision::Drop),
            (&one(&format!("{id};o=3")), SamplingDecision::Sample),
        ],
        &[
            (&one(""), RejectReason::Malformed),
            (&one(&format!("{TRACE}/{SPAN};o=1")), RejectReason::Malformed),
            (&one(&format!("{}/1;o=1", &TRACE[1..])), RejectReason::Malformed),
            (&one(&format!("{id};o=x")), RejectReason::Malformed),
            (&one(&format!("{id};o=1;o=1")), RejectReason::Malformed),
            (&one(&format!("{id};")), RejectReason::Malformed),
            (&one(&format!("{TRACE}/18446744073709551616")), RejectReason::Malformed),
            (&one(&format!("{TRACE}/-1")), RejectReason::Malformed),
            (&one(&format!("{}/1", "0".repeat(32))), RejectReason::ZeroId),
        ],
    );
    check_roots(
        make,
        &[
            (&one(&format!("{TRACE}/0;o=1")), SamplingDecision::Sample),
            (&one(&format!("{TRACE}/;o=0")), SamplingDecision::Drop),
            (&one(&format!("{TRACE};o=0")), SamplingDecision::Drop),
            (&one(TRACE), SamplingDecision::Defer),
        ],
    );
}

/// The valid example of OpenCensus' specification, and texts that must not be accepted.
#[test]
fn grpc_trace_bin_padding_is_optional() {
    let one = |text: &str| [("grpc-trace-bin", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let make: Make = || Box::new(GrpcTraceBinFormat);
    let bare = "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE";
    check(
        make,
        &[
            (&one(bare), SamplingDecision::Sample),
            (&one(&format!("{bare}=")), SamplingDecision::Sample),
            // Options 0, no options, span id first, fields of a later version behind.
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgA"), SamplingDecision::Drop),
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3"), SamplingDecision::Drop),
            (&one("AAEA8GeqC6kCtwBL+S81d7NNpqPOkp0ODkc2AgE"), SamplingDecision::Sample),
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgED//8"), SamplingDecision::Sample),
        ],
        &[
            (&one(""), RejectReason::Malformed),
            (&one("AQBL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE"), RejectReason::UnsupportedVersion),
            (&one(&bare.replace('+', "-")), RejectReason::Malformed),
            (&one(&format!("{bare}==")), RejectReason::Malformed),
            (&one(&bare[..20]), RejectReason::Malformed),
            (&one("AABL+S81d7NNpqPOkp0ODkc2"), RejectReason::Malformed),
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgECAQ"), RejectReason::Duplicate),
            (&one("AAAAAAAAAAAAAAAAAAAAAAAAAQDwZ6oLqQK3AgE"), RejectReason::ZeroId),
            (&one(&format!("{bare},{bare}")), RejectReason::Malformed),
        ],
    );
}
