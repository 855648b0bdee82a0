//! Replays the seeds of the fuzz targets without a fuzzer, so that fixed faults stay fixed.
#![cfg(feature = "policy-file")]

use std::path::Path;

mod checks;

/// Calls `check` with every seed of a target: as it is, truncated, and with single bytes changed.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds").join(target);
    let mut seeds = 0;
    for seed in std::fs::read_dir(&directory).unwrap() {
        let data = std::fs::read(seed.unwrap().path()).unwrap();
        check(&data);
        seeds += 1;
        for at in (0..data.len()).step_by(data.len() / 20 + 1) {
            check(&data[..at]);
            for byte in [0, b' ', b',', b':', b'=', b'%', b'0', 0xff] {
                let mut changed = data.clone();
                changed[at] = byte;
                check(&changed);
            }
        }
    }
    assert!(seeds > 0, "no seeds for {target}");
}

macro_rules! replays {
    ($($test:ident: $target:literal => $check:expr,)*) => {
        $(#[test]
        fn $test() {
            replay($target, $check);
        })*
    };
}

replays! {
    seeds_of_tracecontext_hold: "tracecontext" => |data| checks::format("tracecontext", data),
    seeds_of_baggage_hold: "baggage" => |data| checks::format("baggage", data),
    seeds_of_b3_hold: "b3" => |data| { checks::format("b3", data); checks::format("b3multi", data) },
    seeds_of_jaeger_hold: "jaeger" => |data| checks::format("jaeger", data),
    seeds_of_x_ray_hold: "xray" => |data| checks::format("xray", data),
    seeds_of_datadog_hold: "datadog" => |data| checks::format("datadog", data),
    seeds_of_google_cloud_hold: "gcp" => |data| checks::format("gcp", data),
    seeds_of_grpc_trace_bin_hold: "grpc_trace_bin" => |data| checks::format("grpc-trace-bin", data),
    seeds_of_stored_contexts_hold: "stored" => checks::stored,
    seeds_of_policies_hold: "policy" => checks::policy,
}
