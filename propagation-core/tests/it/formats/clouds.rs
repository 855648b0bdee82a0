//! Amazon's and Google's: X-Ray, `x-cloud-trace-context`, `grpc-trace-bin`.

use propagation_core::{GoogleCloudFormat, GrpcTraceBinFormat, Reason, Sampling, XRayFormat};

use super::{Make, SPAN, SPAN_DECIMAL, TRACE, check, check_bare, check_roots};

#[test]
fn x_ray_is_read_in_any_order_with_unknown_fields_ignored() {
    let one = |text: &str| [("X-Amzn-Trace-Id", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let root = format!("Root=1-{}-{}", &TRACE[..8], &TRACE[8..]);
    let parent = format!("Parent={SPAN}");
    let make: Make = || Box::new(XRayFormat::new());
    check(
        make,
        &[
            (&one(&format!("{root};{parent};Sampled=1")), Sampling::Sample),
            (&one(&format!("Sampled=0;{parent};{root}")), Sampling::Drop),
            (&one(&format!("{root};{parent};Sampled=?")), Sampling::Defer),
            (&one(&format!("{root};{parent}")), Sampling::Defer),
            (&one(&format!("{root}; {parent} ;\tSampled=1;")), Sampling::Sample),
            (&one(&format!("Self=1-x-y;{root};{parent};Lineage=a:1|b:2;CalledFrom=app;odd")), Sampling::Defer),
        ],
        &[
            (&one(&format!("{root};{parent};Sampled=2")), Reason::Malformed),
            (&one(&format!("{root};{parent};Sampled=")), Reason::Malformed),
            (&one(&format!("{root};{root};{parent}")), Reason::Repeated),
            (&one(&format!("Root=2{};{parent}", &root[6..])), Reason::Version),
            (&one(&format!("Root={TRACE};{parent}")), Reason::Malformed),
            (&one(&format!("Root=1-{}-{};{parent}", &TRACE[..9], &TRACE[9..])), Reason::Malformed),
            (&one(&format!("{};{parent}", root.to_uppercase().replace("ROOT", "Root"))), Reason::Malformed),
            (&one(&format!("{root};Parent={}", &SPAN[1..])), Reason::Malformed),
            (&one(&format!("{root};Parent=0000000000000000")), Reason::ZeroId),
            (&one(&format!("{root};{parent};x={}", "y".repeat(2000))), Reason::TooLong),
        ],
    );
    check_bare(make, &[(&one(&format!("{parent};Sampled=0")), Sampling::Drop), (&one(""), Sampling::Defer)]);
    check_roots(
        make,
        &[
            (&one(&format!("{root};Sampled=0")), Sampling::Drop),
            (&one(&format!("{root};Sampled=?")), Sampling::Defer),
            (&one(&root), Sampling::Defer),
            (&one(&format!("Parent=;Sampled=1;{root}")), Sampling::Sample),
            (&one(&format!("Self=1-67891234-12456789abcdef012345678;{root};Parent= ;x")), Sampling::Defer),
        ],
    );
}

#[test]
fn google_cloud_is_read_with_options_and_without() {
    let one = |text: &str| [("x-cloud-trace-context", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let id = format!("{TRACE}/{SPAN_DECIMAL}");
    let make: Make = || Box::new(GoogleCloudFormat);
    check(
        make,
        &[
            (&one(&id), Sampling::Defer),
            (&one(&format!("{id};o=")), Sampling::Defer),
            (&one(&format!("{id};o=0")), Sampling::Drop),
            (&one(&format!("{id};o=1")), Sampling::Sample),
            (&one(&format!("{id};o=2")), Sampling::Drop),
            (&one(&format!("{id};o=3")), Sampling::Sample),
        ],
        &[
            (&one(""), Reason::Malformed),
            (&one(&format!("{TRACE}/{SPAN};o=1")), Reason::Malformed),
            (&one(&format!("{}/1;o=1", &TRACE[1..])), Reason::Malformed),
            (&one(&format!("{id};o=x")), Reason::Malformed),
            (&one(&format!("{id};o=1;o=1")), Reason::Malformed),
            (&one(&format!("{id};")), Reason::Malformed),
            (&one(&format!("{TRACE}/18446744073709551616")), Reason::Malformed),
            (&one(&format!("{TRACE}/-1")), Reason::Malformed),
            (&one(&format!("{}/1", "0".repeat(32))), Reason::ZeroId),
        ],
    );
    check_roots(
        make,
        &[
            (&one(&format!("{TRACE}/0;o=1")), Sampling::Sample),
            (&one(&format!("{TRACE}/;o=0")), Sampling::Drop),
            (&one(&format!("{TRACE};o=0")), Sampling::Drop),
            (&one(TRACE), Sampling::Defer),
        ],
    );
}

/// The valid example of OpenCensus' specification, and what must not pass for it.
#[test]
fn grpc_trace_bin_is_read_with_padding_and_without() {
    let one = |text: &str| [("grpc-trace-bin", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let make: Make = || Box::new(GrpcTraceBinFormat);
    let bare = "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE";
    check(
        make,
        &[
            (&one(bare), Sampling::Sample),
            (&one(&format!("{bare}=")), Sampling::Sample),
            // Options 0, no options, span id first, fields of a later version behind.
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgA"), Sampling::Drop),
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3"), Sampling::Drop),
            (&one("AAEA8GeqC6kCtwBL+S81d7NNpqPOkp0ODkc2AgE"), Sampling::Sample),
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgED//8"), Sampling::Sample),
        ],
        &[
            (&one(""), Reason::Malformed),
            (&one("AQBL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE"), Reason::Version),
            (&one(&bare.replace('+', "-")), Reason::Malformed),
            (&one(&format!("{bare}==")), Reason::Malformed),
            (&one(&bare[..20]), Reason::Malformed),
            (&one("AABL+S81d7NNpqPOkp0ODkc2"), Reason::Malformed),
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgECAQ"), Reason::Repeated),
            (&one("AAAAAAAAAAAAAAAAAAAAAAAAAQDwZ6oLqQK3AgE"), Reason::ZeroId),
            (&one(&format!("{bare},{bare}")), Reason::Malformed),
        ],
    );
}
