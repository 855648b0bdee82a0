use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use propagation_core::{
    Extract, Hop, Inject, OutboundRule, Policy, PropagationContext, Propagator, RejectReason, SpanKind, carrier::laws,
};
use propagation_http::{ClientPropagationLayer, HeaderCarrier, HeaderCarrierMut};
use tower::{Layer, ServiceExt};

use crate::telemetry::PARENT;

struct Headers;

impl laws::Subject for Headers {
    type Message = HeaderMap;
    // Removal from a header map moves the last entry; the order of different names is not significant (RFC 9110, 5.3).
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
        with(&mut HeaderCarrierMut::new(message));
    }
}

mod few {
    use super::*;
    propagation_core::carrier_laws!(Headers);
}

/// The laws with enough other headers that names are looked up instead of compared.
mod many {
    use super::*;

    struct Crowded;

    fn is_crowd(name: &str) -> bool {
        name.starts_with("crowd-")
    }

    impl laws::Subject for Crowded {
        type Message = HeaderMap;
        const ORDERED: bool = false;

        fn empty() -> HeaderMap {
            (0..30).map(|n| (format!("crowd-{n}").parse::<HeaderName>().unwrap(), HeaderValue::from(n))).collect()
        }

        fn put(message: &mut HeaderMap, name: &str, value: &[u8]) {
            Headers::put(message, name, value);
        }

        fn entries(message: &HeaderMap) -> Vec<(String, Vec<u8>)> {
            Headers::entries(message).into_iter().filter(|(name, _)| !is_crowd(name)).collect()
        }

        fn extract(message: &HeaderMap, with: &mut dyn FnMut(&dyn Extract)) {
            with(&WithoutCrowd(message));
        }

        fn inject(message: &mut HeaderMap, with: &mut dyn FnMut(&mut dyn Inject)) {
            with(&mut HeaderCarrierMut::new(message));
        }
    }

    struct WithoutCrowd<'m>(&'m HeaderMap);

    impl Extract for WithoutCrowd<'_> {
        fn visit<'a>(&'a self, name: &propagation_core::FieldName, each: &mut dyn FnMut(propagation_core::Value<'a>)) {
            for value in self.0.get_all(name.as_header_name()) {
                each(propagation_core::Value::Shared(value));
            }
        }

        fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, propagation_core::Value<'a>)) {
            for (name, value) in self.0.iter().filter(|(name, _)| !is_crowd(name.as_str())) {
                each(name.as_str(), propagation_core::Value::Shared(value));
            }
        }
    }

    propagation_core::carrier_laws!(Crowded);
}

#[test]
fn stale_header_of_a_single_name_format_is_removed() {
    let xray = propagation_core::Formats::from_lookup(|_| Some("xray".to_owned())).unwrap();
    let propagator = Propagator::builder().formats(xray).build();
    for mine in [&[][..], &["x-mine"]] {
        let mut headers: HeaderMap =
            mine.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1"))).collect();
        headers.insert("x-amzn-trace-id", HeaderValue::from_static("Root=stale"));
        propagation_http::inject(&propagator, "api", &PropagationContext::EMPTY, &mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), mine);
    }
}

#[test]
fn forwarded_header_shares_its_bytes() {
    let received = bytes::Bytes::from(format!("{PARENT}a=1,b=2"));
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::from_maybe_shared(received.slice(..55)).unwrap());
    headers.insert("tracestate", HeaderValue::from_maybe_shared(received.slice(55..)).unwrap());
    let propagator = Propagator::default();
    let context = propagation_http::extract(&propagator, &headers).context;
    let mut sent = HeaderMap::new();
    propagation_http::inject(&propagator, "api", &context, &mut sent);
    assert_eq!(sent["tracestate"].as_bytes().as_ptr(), received[55..].as_ptr());
    assert_ne!(context.detach().trace.state.as_bytes().as_ptr(), received[55..].as_ptr());
}

#[test]
fn garbage_headers_yield_no_trace() {
    let commas = ",".repeat(60_000);
    for (name, value, reason) in [
        ("traceparent", &b"\xff\xfe"[..], RejectReason::Malformed),
        ("traceparent", b"", RejectReason::Malformed),
        ("traceparent", commas.as_bytes(), RejectReason::Malformed),
        ("traceparent", b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", RejectReason::UnsupportedVersion),
        ("traceparent", b"00-00000000000000000000000000000000-00f067aa0ba902b7-01", RejectReason::ZeroId),
    ] {
        let mut headers = HeaderMap::new();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
        headers.append("tracestate", HeaderValue::from_bytes(value).unwrap());
        headers.append("baggage", HeaderValue::from_bytes(commas.as_bytes()).unwrap());
        let admission = propagation_http::extract(&Propagator::default(), &headers);
        assert!(admission.context.is_empty());
        assert!(
            admission.rejections.iter().any(|rejection| rejection.field == name && rejection.reason == reason),
            "{admission:?}"
        );
    }
}

#[tokio::test]
async fn host_spellings_match_the_same_rule() {
    let rule = OutboundRule::peers(["http:api.example.com"]).allow("tenant.id");
    let policy = Policy::builder().outbound(rule).build().unwrap();
    let propagator = Propagator::builder().policy(policy).build();
    let mut context = PropagationContext::EMPTY;
    context.baggage.set("tenant.id", "blue").unwrap();
    let layer = ClientPropagationLayer::new(propagator.clone());
    for (host, may) in [
        ("api.example.com", true),
        ("API.Example.com", true),
        ("api.example.com.", true),
        ("api.example.com.evil.test", false),
        ("api.example.com@evil.test", false),
    ] {
        let mut headers = HeaderMap::new();
        propagation_http::inject(&propagator, host, &context, &mut headers);
        assert_eq!(headers.contains_key("baggage"), may, "{host}");

        let sent = layer.layer(tower::service_fn(|request: http::Request<()>| {
            std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(format!(
                "{:?}",
                request.headers()
            ))))
        }));
        let request = http::Request::get(format!("http://{host}:8080/")).body(()).unwrap();
        let hop = propagator.start(Hop::remote(SpanKind::Server, context.clone()));
        let sent = hop.scope(sent.oneshot(request)).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(sent.starts_with(b"{\"baggage\""), may, "{host}: {sent:?}");
    }
}

#[test]
fn debug_of_carriers_masks_values() {
    let mut headers = HeaderMap::new();
    headers.insert("baggage", HeaderValue::from_static("tenant.id=zebra"));
    headers.insert("x-secret", HeaderValue::from_static("zebra"));
    let read = format!("{:?} {:#?}", HeaderCarrier::new(&headers), HeaderCarrier::new(&headers));
    let written = format!("{:?}", HeaderCarrierMut::new(&mut headers));
    assert!(!read.contains("zebra") && !written.contains("zebra"), "{read} {written}");
}
