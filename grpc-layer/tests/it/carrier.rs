use http::{HeaderMap, HeaderName, HeaderValue};
use propagation_core::{
    Extract, Formats, Inject, OutboundRule, Peer, Policy, PropagationContext, Propagator, RejectReason, TraceContext,
    carrier::laws,
};
use propagation_grpc::MetadataCarrierMut;
use propagation_http::HeaderCarrier;

struct Metadata;

impl laws::Subject for Metadata {
    type Message = HeaderMap;
    // The order of different names is not significant.
    const ORDERED: bool = false;

    fn empty() -> HeaderMap {
        HeaderMap::new()
    }

    fn put(message: &mut HeaderMap, name: &str, value: &[u8]) {
        message.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
    }

    fn entries(message: &HeaderMap) -> Vec<(String, Vec<u8>)> {
        message.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
    }

    fn extract(message: &HeaderMap, with: &mut dyn FnMut(&dyn Extract)) {
        with(&HeaderCarrier::new(message));
    }

    fn inject(message: &mut HeaderMap, with: &mut dyn FnMut(&mut dyn Inject)) {
        with(&mut MetadataCarrierMut::new(message));
    }
}

propagation_core::carrier_laws!(Metadata);

#[test]
fn binary_names_hold_no_text() {
    let policy = Policy::builder().outbound(OutboundRule::peers(["grpc:*"]).allow("*")).build().unwrap();
    let formats = "jaeger,grpc-trace-bin".parse::<Formats>().unwrap();
    let propagator = Propagator::builder().policy(policy).formats(formats).build();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut context = PropagationContext::new(TraceContext::new(parent.parse().unwrap()));
    context.baggage.set("tenant.id", "blue").unwrap();
    context.baggage.set("thumb-bin", "text").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("own-bin", "AAEC".parse().unwrap());
    let injection = propagator.inject(&Peer::grpc("shop.Orders"), &context, &mut MetadataCarrierMut::new(&mut headers));
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["grpc-trace-bin", "own-bin", "uber-trace-id", "uberctx-tenant.id"]);
    assert!(
        injection.rejected().iter().any(|rejection| rejection.reason == RejectReason::Unrepresentable),
        "{injection:?}"
    );
    let bytes = headers["grpc-trace-bin"].as_bytes();
    assert!(bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)), "base64");
}

#[test]
fn outgoing_metadata_can_be_read() {
    let mut headers = HeaderMap::new();
    headers.append("traceparent", HeaderValue::from_static("first"));
    headers.append("traceparent", HeaderValue::from_static("second"));
    headers.append("own", HeaderValue::from_static("1"));
    let carrier = MetadataCarrierMut::new(&mut headers);
    let mut values = Vec::new();
    let name = propagation_core::FieldName::from_static("traceparent");
    carrier.visit(&name, &mut |value| values.push(value.as_bytes().to_vec()));
    assert_eq!(values, [b"first".as_slice(), b"second"]);
    let mut names = Vec::new();
    carrier.visit_all(&mut |name, _| names.push(name.to_owned()));
    names.sort();
    assert_eq!(names, ["own", "traceparent", "traceparent"]);
}

#[test]
fn debug_of_carriers_masks_values() {
    let mut metadata = HeaderMap::new();
    metadata.insert("baggage", HeaderValue::from_static("tenant.id=zebra"));
    let read = format!("{:#?}", propagation_grpc::MetadataCarrier::new(&metadata));
    let written = format!("{:?}", MetadataCarrierMut::new(&mut metadata));
    assert!(!read.contains("zebra") && !written.contains("zebra"), "{read} {written}");
}
