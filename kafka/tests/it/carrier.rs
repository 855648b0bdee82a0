use propagation_core::{
    Extract, FieldName, FieldNames, InboundRule, Inject, OutboundRule, OutgoingFields, Peer, Policy, Propagator,
    TraceContext, carrier::laws,
};
use propagation_kafka::{HeadersCarrier, HeadersCarrierMut, HeadersExt, MessageExt, OwnedHeadersExt, RawHeader};
use rdkafka::message::OwnedHeaders;

use crate::shop::{OTHER, PARENT, headers, message, shown};

struct Record;

impl laws::Subject for Record {
    type Message = Option<OwnedHeaders>;

    fn empty() -> Option<OwnedHeaders> {
        None
    }

    fn put(message: &mut Option<OwnedHeaders>, name: &str, value: &[u8]) {
        assert!(message.raw_append(RawHeader::new(name.as_bytes(), Some(value))));
    }

    fn entries(message: &Option<OwnedHeaders>) -> Vec<(String, Vec<u8>)> {
        let headers = message.iter().flat_map(rdkafka::message::Headers::iter);
        headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
    }

    fn extract(message: &Option<OwnedHeaders>, with: &mut dyn FnMut(&dyn Extract)) {
        match message {
            Some(headers) => with(&HeadersCarrier::new(headers)),
            None => with(&HeadersCarrier::of_message(&crate::shop::message(None, std::time::Duration::ZERO))),
        }
    }

    fn inject(message: &mut Option<OwnedHeaders>, with: &mut dyn FnMut(&mut dyn Inject)) {
        with(&mut HeadersCarrierMut::new(message));
    }
}

propagation_core::carrier_laws!(Record);

fn open() -> Propagator {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["*"]).allow("*"))
        .outbound(OutboundRule::peers(["*"]).allow("*"))
        .build()
        .unwrap();
    Propagator::builder().policy(policy).build()
}

#[test]
fn injection_keeps_nulls_duplicates_and_binary_names() {
    let before = [
        RawHeader::new(b"x-null", None),
        RawHeader::new(b"x-twice", Some(b"1")),
        RawHeader::new(b"\xff\xfe", Some(b"odd")),
        RawHeader::new(b"x-empty", Some(b"")),
        RawHeader::new(b"x-twice", Some(b"2")),
    ];
    for stale in [false, true] {
        let mut record = None;
        for (at, header) in before.iter().enumerate() {
            assert!(record.raw_append(*header));
            if stale && at == 2 {
                record.raw_append(RawHeader::new(b"TraceParent", Some(b"stale")));
                record.raw_append(RawHeader::new(b"baggage", None));
            }
        }
        let context = headers(&[("traceparent", Some(PARENT.as_bytes()))]).extract(&open(), "orders").context;
        record.inject(&open(), "orders", &context);
        let after: Vec<RawHeader<'_>> = record.as_ref().unwrap().raw_iter().collect();
        assert_eq!(after[..5], before, "stale: {stale}");
        assert_eq!(after[5..], [RawHeader::new(b"traceparent", Some(PARENT.as_bytes()))]);
    }
}

#[test]
fn empty_injection_adds_no_header_list() {
    let mut record: Option<OwnedHeaders> = None;
    record.inject(&open(), "orders", &propagation_core::PropagationContext::EMPTY);
    assert!(record.is_none());
}

#[test]
fn null_value_reads_as_empty() {
    static NAME: FieldName = FieldName::from_static("traceparent");
    let headers = headers(&[("traceparent", None), ("traceparent", Some(b""))]);
    let mut seen = Vec::new();
    HeadersCarrier::new(&headers).visit(&NAME, &mut |value| seen.push(value.len()));
    assert_eq!(seen, [0, 0]);
}

#[test]
fn names_are_matched_ignoring_ascii_case() {
    let mut record = headers(&[("TraceParent", Some(PARENT.as_bytes())), ("X-Mine", Some(b"1"))]);
    let context = record.extract(&open(), "orders").context;
    assert_eq!(context.trace.parent, Some(PARENT.parse().unwrap()));
    record.inject(&open(), "orders", &context);
    assert_eq!(
        shown(Some(&record)),
        [("X-Mine".to_owned(), Some("1".to_owned())), ("traceparent".to_owned(), Some(PARENT.to_owned()))]
    );
}

#[test]
fn detached_message_extracts_like_its_headers() {
    let message = message(
        Some(headers(&[("traceparent", Some(OTHER.as_bytes())), ("baggage", Some(b"tenant.id=blue"))])),
        std::time::Duration::from_secs(3600),
    );
    let admission = message.extract(&open());
    assert_eq!(admission.context.trace.parent, Some(OTHER.parse().unwrap()));
    assert_eq!(admission.context.baggage.get("tenant.id").unwrap(), "blue");
    let age = message.age().unwrap().as_secs();
    assert!((3600..7200).contains(&age), "{age}");
}

#[test]
fn second_injection_replaces_the_first() {
    let mut headers = Some(headers(&[("x-mine", Some(b"1"))]));
    let mut carrier = HeadersCarrierMut::new(&mut headers);
    let propagator = open();
    for parent in [PARENT, OTHER] {
        let from = vec![("traceparent".to_owned(), parent.as_bytes().to_vec())];
        let context = propagator.extract(&Peer::kafka("orders"), &from).context;
        propagator.inject(&Peer::kafka("orders"), &context, &mut carrier);
    }
    carrier.commit(&OutgoingFields::new(&FieldNames::new()), &TraceContext::EMPTY);
    assert_eq!(shown(headers.as_ref()), [("x-mine".to_owned(), Some("1".to_owned()))]);
}

#[test]
fn headers_of_an_outgoing_record_are_readable() {
    let all: [(&str, Option<&[u8]>); 3] = [("traceparent", Some(b"1")), ("own", None), ("traceparent", Some(b"2"))];
    let mut record = Some(crate::shop::headers(&all));
    let carrier = HeadersCarrierMut::new(&mut record);
    let mut seen = Vec::new();
    carrier.visit_all(&mut |name, value| seen.push((name.to_owned(), value.as_bytes().to_vec())));
    let expected = [("traceparent", b"1".as_slice()), ("own", b""), ("traceparent", b"2")];
    assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value.to_vec())));
    let mut values = Vec::new();
    let name = propagation_core::FieldName::from_static("traceparent");
    carrier.visit(&name, &mut |value| values.push(value.as_bytes().to_vec()));
    assert_eq!(values, [b"1", b"2"]);
}

#[test]
fn debug_of_carriers_masks_values() {
    let headers = headers(&[("traceparent", Some(PARENT.as_bytes())), ("x-card", Some(b"4111"))]);
    assert_eq!(format!("{:?}", HeadersCarrier::new(&headers)), "HeadersCarrier { .. }");
}
