//! Which peers a rule is for.

use propagation_core::{InboundRule, OutboundRule, Peer, Policy, PropagationContext, TraceTrust, Transport};

fn tenant() -> PropagationContext {
    let mut context = PropagationContext::EMPTY;
    context.baggage.set("tenant.id", "blue").unwrap();
    context
}

fn gets_tenant(policy: &Policy, peer: &Peer<'_>) -> bool {
    !policy.release(peer, &tenant()).context.baggage.is_empty()
}

fn outbound(peer: &str) -> Policy {
    Policy::builder().outbound(OutboundRule::peers([peer]).allow("tenant.id")).build().unwrap()
}

#[test]
fn empty_identity_matches_no_rule() {
    let trust_of = |pattern: &str, identity: &str| {
        let rule = InboundRule::peers([pattern]).trust(TraceTrust::Restart);
        let policy = Policy::builder().inbound(rule).build().unwrap();
        policy.admit(&Peer::caller(Transport::HTTP).with_identity(identity), PropagationContext::EMPTY).trust
    };
    for pattern in ["identity:*", "identity:**", "identity:* *"] {
        for identity in ["", " ", "\t"] {
            assert_eq!(trust_of(pattern, identity), TraceTrust::Full, "{pattern} {identity:?}");
        }
    }
    assert_eq!(trust_of("identity:*", "billing"), TraceTrust::Restart);
    assert_eq!(trust_of("identity:bill*", "billing"), TraceTrust::Restart);
}

#[test]
fn host_case_and_trailing_dot_do_not_matter() {
    let spellings = ["api.example.com", "API.Example.COM", "api.example.com.", "Api.example.com."];
    for pattern in spellings {
        for host in spellings {
            assert!(gets_tenant(&outbound(&format!("http:{pattern}")), &Peer::http(host)), "{pattern} {host}");
            assert!(gets_tenant(&outbound(&format!("*:{pattern}")), &Peer::http(host)), "*:{pattern} {host}");
        }
    }
    assert!(gets_tenant(&outbound("http:*.Internal."), &Peer::http("Orders.INTERNAL")));
    assert!(!gets_tenant(&outbound("http:*."), &Peer::http("evil.example")));
    let loopback = ["[::1]", "::1", "0:0:0:0:0:0:0:1", "[0:0::0:1]"];
    for pattern in loopback {
        for host in loopback {
            assert!(gets_tenant(&outbound(&format!("http:{pattern}")), &Peer::http(host)), "{pattern} {host}");
        }
    }
}

#[test]
fn other_names_than_hosts_keep_their_case() {
    for (pattern, peer) in [
        ("kafka:Orders", Peer::kafka("orders")),
        ("kafka:orders.", Peer::kafka("orders")),
        ("*:Orders", Peer::kafka("orders")),
        ("grpc:shop.Orders", Peer::grpc("shop.orders")),
    ] {
        assert!(!gets_tenant(&outbound(pattern), &peer), "{pattern} {peer}");
    }
    assert!(gets_tenant(&outbound("*:Orders"), &Peer::kafka("Orders")));
}

#[test]
fn internal_covers_this_machine_and_single_labels() {
    let policy = Policy::internal(["tenant.id"]);
    for host in [
        "localhost",
        "LOCALHOST.",
        "shop.localhost",
        "127.0.0.1",
        "127.1.2.3",
        "[::1]",
        "::1",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "orders",
        "Orders",
        "order_service-2",
        "orders.svc",
        "orders.shop.svc.cluster.local",
    ] {
        assert!(gets_tenant(&policy, &Peer::http(host)), "{host}");
    }
    for host in [
        "",
        "example.com",
        "127.evil.example",
        "127.0.0.1.evil.example",
        "128.0.0.1",
        "10.0.0.1",
        "[::2]",
        "[2001:db8::1]",
        // Numbers that resolvers read as addresses.
        "3232235777",
        "0x7f000001",
        "0XC0A80101",
        "017700000001",
        "evil\u{3002}example",
        "a b",
        "user@evil",
        "evil:80",
        "localhost.evil.example",
    ] {
        assert!(!gets_tenant(&policy, &Peer::http(host)), "{host}");
    }
}

#[test]
fn host_ranges_match_addresses_alone() {
    let policy = outbound("http:10.0.0.0/8");
    for (host, inside) in
        [("10.1.2.3", true), ("[::ffff:10.1.2.3]", true), ("11.1.2.3", false), ("10.1.2.3.evil.example", false)]
    {
        assert_eq!(gets_tenant(&policy, &Peer::http(host)), inside, "{host}");
    }
    for range in ["http:10.0.0.0/33", "http:10.0.0.0/", "http:::1/129"] {
        let error = Policy::builder().outbound(OutboundRule::peers([range])).build().unwrap_err();
        assert!(error.to_string().contains("range"), "{error}");
    }
}

#[test]
fn exchange_rule_does_not_cover_a_queue_of_its_name() {
    let (exchange, queue) = (Peer::amqp("shop"), Peer::amqp_queue("shop"));
    for (pattern, to_exchange, to_queue) in [
        ("amqp:shop", true, false),
        ("amqp:sho*", true, false),
        ("*:shop", true, false),
        ("amqp:queue/shop", false, true),
        ("amqp:queue/*", false, true),
        ("amqp:queue/replies", false, false),
        ("amqp:*", true, true),
        ("*", true, true),
    ] {
        assert_eq!(gets_tenant(&outbound(pattern), &exchange), to_exchange, "{pattern} to the exchange");
        assert_eq!(gets_tenant(&outbound(pattern), &queue), to_queue, "{pattern} to the queue");
    }
    assert_eq!(queue.to_string(), "amqp:queue/shop");
    assert!(Policy::builder().outbound(OutboundRule::peers(["amqp:queue/"])).build().is_err());
}

#[test]
fn inbound_rules_name_a_queue_with_or_without_its_prefix() {
    for pattern in ["amqp:shipping", "amqp:queue/shipping", "amqp:ship*", "amqp:*"] {
        let policy = Policy::builder().inbound(InboundRule::peers([pattern]).allow("tenant.id")).build().unwrap();
        for peer in [Peer::amqp("shipping"), Peer::amqp_queue("shipping")] {
            let admission = policy.admit(&peer, tenant());
            assert!(!admission.context.baggage.is_empty(), "{pattern} {peer}");
        }
    }
}

const NATS: Transport = Transport::from_static("nats");

#[test]
fn declared_transport_matches_rules_that_name_it() {
    let rule = || OutboundRule::peers(["nats:orders.*"]).allow("tenant.id");
    let policy = Policy::builder().transport(NATS).outbound(rule()).build().unwrap();
    assert!(gets_tenant(&policy, &Peer::new(NATS, "orders.created")));
    assert!(!gets_tenant(&policy, &Peer::new(NATS, "stock.moved")));
    assert!(!gets_tenant(&policy, &Peer::kafka("orders.created")));
    let twice = Policy::builder().transport(NATS).transport(NATS).transport(Transport::KAFKA).build().unwrap();
    assert_eq!(twice.transports().collect::<Vec<_>>(), ["nats", "kafka"]);
}

#[test]
fn rule_for_an_undeclared_transport_is_an_error() {
    for rule in ["nats:orders", "kafak:orders"] {
        let error = Policy::builder().transport(Transport::from_static("mqtt")).outbound(OutboundRule::peers([rule]));
        let error = error.build().unwrap_err().to_string();
        assert!(error.contains("unknown transport") && error.contains("process, mqtt"), "{error}");
    }
}

#[test]
fn undeclared_transport_matches_rules_without_one() {
    let peer = Peer::new(NATS, "orders");
    for (pattern, matches) in [("*", true), ("*:orders", true), ("*:stock", false), ("kafka:orders", false)] {
        assert_eq!(gets_tenant(&outbound(pattern), &peer), matches, "{pattern}");
    }
    assert!(!gets_tenant(&Policy::internal(["tenant.id"]), &peer));
    let inbound = InboundRule::peers(["*"]).trust(TraceTrust::Restart);
    let policy = Policy::builder().inbound(inbound).build().unwrap();
    assert_eq!(policy.admit(&peer, PropagationContext::EMPTY).trust, TraceTrust::Restart);
}

#[test]
fn foreign_names_are_compared_as_written() {
    // Only HTTP hosts have a canonical form.
    let policy = Policy::builder().transport(NATS).outbound(OutboundRule::peers(["nats:Orders."]).allow("tenant.id"));
    let policy = policy.build().unwrap();
    assert!(gets_tenant(&policy, &Peer::new(NATS, "Orders.")) && !gets_tenant(&policy, &Peer::new(NATS, "orders")));
}
