use sha2::{Digest, Sha256};

use super::*;
use crate::text::base64;
use crate::trace::{Event, Link, Span, SpanId, SpanKind, Status, TraceId};

const TRACE: TraceId = TraceId::from_bytes([0xab; 16]);

fn span(number: u8, name: &str) -> Span {
    let mut span = Span::new(TRACE, SpanId::from_bytes([number; 8]), name);
    span.start = 1_700_000_000_000_000_000;
    span.end = span.start + 1_000_000;
    span
}

#[test]
fn the_policy_of_the_page_allows_its_own_script() {
    assert_eq!(SCRIPT_HASH, base64::encode(&Sha256::digest(SCRIPT.as_bytes())), "write this hash into SCRIPT_HASH");
}

#[test]
fn hostile_texts_are_escaped_on_the_page() {
    const EVIL: &str = "\"'></script><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}\u{0}javascript:";
    let mut evil = span(1, EVIL);
    evil.kind = SpanKind::Server;
    evil.attributes = [(EVIL, EVIL)].into();
    evil.resource = std::sync::Arc::new([("service.name", EVIL)].into());
    evil.trace_state = EVIL.to_owned();
    evil.scope = EVIL.to_owned();
    evil.status = Status::Error(EVIL.to_owned());
    evil.events.push(Event::new(EVIL, 0));
    evil.attributes.push("messaging.system.name", EVIL);
    evil.parent = Some(SpanId::from_bytes([9; 8]));
    evil.links.push(Link::to(TRACE, SpanId::from_bytes([1; 8])));
    let wire: Wire = [WireRecord::new(EVIL, EVIL, EVIL).field(EVIL, EVIL)].into_iter().collect();
    let graph = TraceGraph::new([evil]);
    let page = Page::new(&graph).title(EVIL).wire(&wire).stopped([Stopped::new(EVIL, EVIL, EVIL)]).render();
    assert_eq!(page.matches("<script").count(), 1, "the page's own and no other");
    assert_eq!(page.matches("</script").count(), 1);
    assert!(!page.contains("<img") && !page.contains('\u{202e}') && !page.contains('\0'));
    assert!(page.contains("&quot;&#39;&gt;&lt;/script&gt;"));
    // Inside of a tag, between `<` and `>`, no quote of the hostile text can have ended an attribute.
    assert!(!page.contains("\"'>"));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = Page::new(&TraceGraph::new([span(1, "GET /")])).render();
    for outside in ["src=", "@import", "url(", "<link", "fetch(", "http-equiv=\"refresh\""] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn page_has_verdict_reasons_messages_and_blocked_keys() {
    let whole = TraceGraph::new([span(1, "GET /")]);
    assert!(Page::new(&whole).render().contains("✓ continuous"));
    let mut orphan = span(2, "process orders");
    orphan.parent = Some(SpanId::from_bytes([7; 8]));
    let broken = TraceGraph::new([span(1, "GET /"), orphan]);
    let wire: Wire =
        [WireRecord::new("orders", "payments", "kafka").field("traceparent", "00-ab")].into_iter().collect();
    let page =
        Page::new(&broken).wire(&wire).stopped([Stopped::new("user.email", "gateway", "no rule allows it")]).render();
    for part in ["✗ broken", "never received", "00-ab", "user.email", "no rule allows it", "without flushing"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(Page::new(&TraceGraph::default()).render().contains("no spans"));
}

#[test]
fn split_traces_are_listed_in_time_order_under_one_verdict() {
    let mut second = span(2, "process orders");
    (second.trace_id, second.start) = (TraceId::from_bytes([1; 16]), second.start + 5);
    let halves = TraceGraph::new([span(1, "GET /"), second]);
    let reported = Stopped::new("user.email", "gateway", "shop-in");
    let page = Page::new(&halves).broken("broken at <kafka>", halves.continuity().broken).reported([reported]).render();
    for part in ["✗ broken at &lt;kafka&gt;", "one root", "class=\"reasons\"", "Not stopped", "shop-in"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains('✓'), "nothing is called whole");
    assert!(page.find("<b>GET /</b>") < page.find("<b>process orders</b>"), "the later has the lower id");
}

#[test]
fn hundreds_of_traces_make_a_page_that_opens() {
    let many = (1..=200_u8).map(|number| {
        let mut span = span(number, "GET /");
        span.trace_id = TraceId::from_bytes([number; 16]);
        span
    });
    let page = Page::new(&TraceGraph::new(many)).render();
    assert!(page.contains("✓ 200 continuous traces") && page.contains("140 more traces"));
    assert!(page.len() < 400_000, "{}", page.len());
}
