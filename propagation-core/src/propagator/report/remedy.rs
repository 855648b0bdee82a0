//! The rule that would allow a denied key, for the event that reports it.

use crate::{Direction, Peer, RejectReason, Rejection, Transport};

/// Returns the rule to write, on one line, for a key that no rule allows. `None` for other rejections, and where the key or the peer
/// can't be written into a policy as it is.
pub(super) fn remedy(direction: Direction, peer: &Peer<'_>, rejection: &Rejection) -> Option<String> {
    let denied = rejection.underlying.unwrap_or(rejection.reason) == RejectReason::NotAllowed;
    let key = rejection.key().filter(|key| denied && is_plain(key))?;
    let rule = rejection.rule().unwrap_or("default");
    if rejection.forwarded {
        return forwarded(rule, key);
    }
    let table = direction.as_str();
    // A profile's rule can't be edited: a rule in front of it has to repeat the profile's other words.
    let more = match (direction, rule) {
        (Direction::Inbound, "edge" | "third-party") => " trust = \"restart-with-link\"",
        (Direction::Outbound, "third-party") => " tracestate = false",
        (_, "default" | "internal") => "",
        _ => {
            let name = Some(rule).filter(|rule| is_plain_text(rule))?;
            return Some(format!("add to the {table} rule \"{name}\": baggage = [\"{key}\"]"));
        }
    };
    let pattern = peer_pattern(peer)?;
    let rule = format!("[[{table}]] peers = [\"{pattern}\"]{more} baggage = [\"{key}\"]");
    // A rule for the transport of another adapter is an error unless the policy declares the transport.
    let is_built_in = Transport::BUILT_IN.contains(&peer.transport);
    Some(if is_built_in { rule } else { format!("transports = [\"{}\"] {rule}", peer.transport) })
}

/// Returns the inbound rule to write for a key that a hop's admission keeps from outgoing carriers: it may be copied from the received
/// headers. The caller of the hop is not known here.
fn forwarded(rule: &str, key: &str) -> Option<String> {
    const WHY: &str = "it may be copied from the received headers";
    match rule {
        "default" | "internal" | "edge" | "third-party" => Some(format!(
            "allow it for the caller of the current hop ({WHY}): [[inbound]] peers = [\"<caller>\"] baggage = [\"{key}\"]"
        )),
        name => {
            is_plain_text(name).then(|| format!("add to the inbound rule \"{name}\" ({WHY}): baggage = [\"{key}\"]"))
        }
    }
}

/// Returns the narrowest pattern for a peer. A caller without a name is any caller of its transport: addresses and identities can be
/// personal and are not logged.
fn peer_pattern(peer: &Peer<'_>) -> Option<String> {
    if peer.name.is_empty() {
        return Some(format!("{}:*", peer.transport.as_str()));
    }
    is_plain(peer.name).then(|| peer.to_string())
}

/// Whether a text can be written between quotes, matches only itself as a pattern, and can't disguise anything in a log.
fn is_plain(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'/'))
}

/// Like [`is_plain`], for names of rules, which may list peers.
fn is_plain_text(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| (byte.is_ascii_graphic() || byte == b' ') && !matches!(byte, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(key: &str, rule: &str) -> Rejection {
        Rejection::new("baggage", RejectReason::NotAllowed).with_key(key.as_bytes()).with_rule(rule.to_owned())
    }

    #[test]
    fn remedy_names_the_rule_to_write_or_to_extend() {
        let (inbound, outbound) = (Direction::Inbound, Direction::Outbound);
        for (direction, peer, rule, expected) in [
            (
                inbound,
                Peer::kafka("orders"),
                "default",
                r#"[[inbound]] peers = ["kafka:orders"] baggage = ["tenant.id"]"#,
            ),
            (
                outbound,
                Peer::amqp_queue("a"),
                "default",
                r#"[[outbound]] peers = ["amqp:queue/a"] baggage = ["tenant.id"]"#,
            ),
            (
                inbound,
                Peer::caller(Transport::HTTP),
                "edge",
                r#"[[inbound]] peers = ["http:*"] trust = "restart-with-link" baggage = ["tenant.id"]"#,
            ),
            (
                outbound,
                Peer::new(Transport::from_static("nats"), "orders.created"),
                "default",
                r#"transports = ["nats"] [[outbound]] peers = ["nats:orders.created"] baggage = ["tenant.id"]"#,
            ),
            (
                outbound,
                Peer::http("api"),
                "partners",
                r#"add to the outbound rule "partners": baggage = ["tenant.id"]"#,
            ),
        ] {
            assert_eq!(remedy(direction, &peer, &denied("tenant.id", rule)).as_deref(), Some(expected));
        }
    }

    #[test]
    fn remedy_for_forwarded_baggage_is_an_inbound_rule() {
        for (rule, expected) in [
            ("default", r#"[[inbound]] peers = ["<caller>"] baggage = ["sentry-release"]"#),
            ("edge", r#"[[inbound]] peers = ["<caller>"] baggage = ["sentry-release"]"#),
            ("partners", r#"add to the inbound rule "partners""#),
        ] {
            let mut rejection = denied("sentry-release", rule);
            rejection.forwarded = true;
            let found = remedy(Direction::Outbound, &Peer::http("api"), &rejection).unwrap();
            assert!(found.contains(expected) && !found.contains("outbound"), "{found}");
        }
        let mut rejection = denied("a", "ru\"le");
        rejection.forwarded = true;
        assert_eq!(remedy(Direction::Outbound, &Peer::http("api"), &rejection), None);
    }

    #[test]
    fn remedy_repeats_nothing_that_a_caller_could_disguise() {
        for name in ["a\nb", "a\"]", "a*", "a\u{202e}b", &"x".repeat(200)] {
            let found = remedy(Direction::Outbound, &Peer::amqp(name), &denied("tenant.id", "default"));
            assert_eq!(found, None, "{name:?}");
        }
        let peer = Peer::kafka("orders");
        for rejection in [
            denied("a*", "default"),
            denied("a", "ru\"le"),
            Rejection::new("baggage", RejectReason::NotAllowed),
            Rejection::new("baggage", RejectReason::TooManyBytes).with_key(b"a"),
        ] {
            assert_eq!(remedy(Direction::Inbound, &peer, &rejection), None, "{rejection}");
        }
    }
}
