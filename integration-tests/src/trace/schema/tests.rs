use std::sync::Arc;

use super::*;
use crate::trace::{Attributes, Event, Link, SpanId, TraceId};

fn span(service: &str, kind: SpanKind, id: u8, attributes: &[(&str, &str)]) -> Span {
    let mut span = Span::new(TraceId::from_bytes([1; 16]), SpanId::from_bytes([id; 8]), format!("span-{id}"));
    span.kind = kind;
    span.start = u64::from(id);
    span.attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
    span.resource = Arc::new([("service.name", service), ("service.version", "1")].into());
    span
}

fn messages(schema: &str, spans: impl IntoIterator<Item = Span>) -> Vec<String> {
    let schema = Schema::from_toml(schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
    schema.findings(&TraceGraph::new(spans)).iter().map(ToString::to_string).collect()
}

fn shop() -> [Span; 3] {
    [
        span("orders", SpanKind::Server, 1, &[("tenant.id", "blue"), ("plan", "free")]),
        span("orders", SpanKind::Client, 2, &[("plan", "pro")]),
        span("billing-eu", SpanKind::Consumer, 3, &[("tenant.id", ""), ("plan", "gold")]),
    ]
}

#[test]
fn required_key_is_reported_for_the_spans_in_scope() {
    for (rule, expected) in [
        (r#"attributes = ["plan"]"#, &[][..]),
        (
            r#"attributes = ["tenant.id"]"#,
            &["1: the attribute `tenant.id` is missing (2 spans: orders · span-2 [client] 0202020202020202, …)"],
        ),
        (
            r#"attributes = ["tenant.id"]
            services = ["orders"]
            kinds = ["server"]"#,
            &[],
        ),
        (
            r#"attributes = ["tenant.id"]
            services = ["billing-*"]"#,
            &["1: the attribute `tenant.id` is missing (1 span: billing-eu · span-3 [consumer] 0303030303030303)"],
        ),
        (
            r#"attributes = ["tenant.id"]
            names = ["span-2", "x*"]"#,
            &["1: the attribute `tenant.id` is missing (1 span: orders · span-2 [client] 0202020202020202)"],
        ),
        (r#"resource = ["service.version"]"#, &[]),
        (
            r#"resource = ["host.name"]
            services = ["orders"]"#,
            &[
                "1: the resource attribute `host.name` is missing (2 spans: orders · span-1 [server] 0101010101010101, …)",
            ],
        ),
    ] {
        assert_eq!(messages(&format!("[[required]]\n{rule}"), shop()), expected, "{rule}");
    }
}

#[test]
fn forbidden_synonym_is_found_in_each_place() {
    let schema = "[[synonyms]]\nkey = \"user.id\"\nforbidden = [\"userId\", \"user_*\"]";
    let at = |place: &str| {
        let mut span = span("orders", SpanKind::Server, 1, &[("user.id", "7")]);
        let key: Attributes = [("user_id", "7")].into();
        match place {
            "span" => span.attributes.push("userId", "7"),
            "resource" => span.resource = Arc::new(key),
            "event" => {
                span.events.push(Event::new("e", 0));
                span.events[0].attributes = key;
            }
            "link" => {
                span.links.push(Link::to(span.trace_id, span.span_id));
                span.links[0].attributes = key;
            }
            _ => {}
        }
        messages(schema, [span])
    };
    for place in ["span", "resource", "event", "link"] {
        let found = at(place);
        assert!(found.len() == 1 && found[0].contains("is forbidden: use `user.id`"), "{place}: {found:?}");
    }
    assert_eq!(at("nowhere"), [""; 0]);
}

#[test]
fn inconsistent_spelling_is_found_across_services() {
    let spans =
        || [span("a", SpanKind::Server, 1, &[("userId", "1")]), span("b", SpanKind::Server, 2, &[("user_id", "1")])];
    let found = messages("consistent_spelling = true", spans());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("1: keys differ only in case and separators: `userId`, `user_id` (2 spans"),
        "{found:?}"
    );
    let others = [span("a", SpanKind::Server, 1, &[("user.id", "1"), ("user.ids", "1")])];
    assert_eq!(messages("consistent_spelling = true", others), [""; 0]);
    let ignored = "consistent_spelling = false\n[[required]]\nattributes = [\"x\"]\nservices = [\"c\"]";
    assert_eq!(messages(ignored, spans()), [""; 0]);
}

#[test]
fn value_outside_of_the_list_is_reported() {
    let found = messages("[[values]]\nkey = \"plan\"\nallowed = [\"free\", \"pro\"]", shop());
    assert_eq!(
        found,
        [
            "1: `plan` has the value `gold`, which is not allowed (1 span: billing-eu · span-3 [consumer] 0303030303030303)"
        ]
    );
    let mut typed = span("a", SpanKind::Server, 1, &[]);
    typed.attributes.push("retries", 3);
    typed.attributes.push("cached", true);
    for (rule, count) in [
        ("key = \"retries\"\nallowed = [1, 3]", 0),
        ("key = \"retries\"\nallowed = [1]", 1),
        ("key = \"cached\"\nallowed = [false]", 1),
    ] {
        assert_eq!(messages(&format!("[[values]]\n{rule}"), [typed.clone()]).len(), count, "{rule}");
    }
}

#[test]
fn number_of_values_is_bounded() {
    let found = messages("[[values]]\nkey = \"plan\"\nmax_distinct = 2", shop());
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("1: `plan` has 3 values, more than 2: `free`, `gold`, `pro`, … (3 spans"),
        "{found:?}"
    );
    assert_eq!(messages("[[values]]\nkey = \"plan\"\nmax_distinct = 3", shop()), [""; 0]);
    assert_eq!(messages("[[values]]\nkey = \"plan\"\nmax_distinct = 2\nservices = [\"orders\"]", shop()), [""; 0]);
    let resource = messages("[[values]]\nkey = \"service.name\"\nmax_distinct = 1", shop());
    assert_eq!(resource.len(), 1, "{resource:?}");
}

#[test]
fn number_of_span_names_is_bounded_by_service() {
    let found = messages("[[span_names]]\nmax_distinct = 1", shop());
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("1: service `orders` has 2 span names, more than 1: `span-1`, `span-2`"), "{found:?}");
    assert_eq!(messages("[[span_names]]\nmax_distinct = 2", shop()), [""; 0]);
}

#[test]
fn rule_without_spans_is_listed() {
    let schema = "[[required]]\nservices = [\"order\"]\nattributes = [\"x\"]\n\n[[required]]\nattributes = [\"plan\"]";
    let schema = Schema::from_toml(schema).expect("valid");
    let graph = TraceGraph::new(shop());
    assert_eq!((schema.findings(&graph).len(), schema.unmatched(&graph)), (0, vec![1]));
}

#[test]
fn assertion_names_rule_and_span() {
    let schema = Schema::from_toml("\n\n[[required]]\nattributes = [\"tenant.id\"]").expect("valid");
    let error = TraceGraph::new(shop()).schema(&schema).expect_err("missing").to_string();
    for expected in [
        "broken: schema schema",
        "schema:3: the attribute `tenant.id` is missing",
        "span-2",
        "not as the schema requires",
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn invalid_schema_is_rejected_with_its_place() {
    for (text, place, message) in [
        ("", "1:1", "no rule"),
        ("# nothing\n", "1:1", "no rule"),
        ("consistent_spelling = false", "1:1", "no rule"),
        ("[[required]\n", "1:12", ""),
        ("required = 1", "1:12", "expected"),
        ("[[require]]\nattributes = [\"a\"]", "1:3", "unknown field `require`"),
        ("[[required]]\nattribute = [\"a\"]", "2:1", "unknown field `attribute`"),
        ("[[required]]\nservices = [\"a\"]", "1:1", "needs `attributes` or `resource`"),
        ("[[required]]\nattributes = [\"a\", \" \"]", "2:20", "the key is empty"),
        ("[[required]]\nattributes = [\"a\"]\nkinds = [\"server\", \"SERVER\"]", "3:20", "unknown span kind `SERVER`"),
        ("[[required]]\nattributes = [\"a\"]\nservices = []", "3:12", "the list is empty"),
        ("[[synonyms]]\nkey = \"user.id\"", "1:1", "missing field `forbidden`"),
        ("[[synonyms]]\nkey = \"user.id\"\nforbidden = []", "3:13", "`forbidden` is empty"),
        ("[[synonyms]]\nkey = \"user.id\"\nforbidden = [\"a\", \"user.*\"]", "3:19", "also forbids the key `user.id`"),
        ("[[values]]\nkey = \"a\"", "1:1", "needs `allowed` or `max_distinct`"),
        ("[[values]]\nkey = \"a\"\nallowed = []", "3:11", "`allowed` is empty"),
        ("[[values]]\nkey = \"a\"\nallowed = [[1]]", "3:11", "may contain texts"),
        ("[[values]]\nkey = \"a\"\nmax_distinct = 0", "3:16", "at least 1"),
        ("[[values]]\nkey = \"a\"\nmax_distinct = -1", "3:16", "invalid value"),
        ("[[span_names]]\nservices = [\"a\"]", "1:1", "missing field `max_distinct`"),
        (
            "[[synonyms]]\nkey = \"a\"\nforbidden = [\"b\"]\n\n[[required]]\nattributes = [\"b\"]",
            "5:1",
            "line 1 forbids the key `b`: use `a`",
        ),
    ] {
        let error = Schema::from_toml(text).expect_err(text).to_string();
        assert!(error.starts_with(&format!("{place}: ")) && error.contains(message), "{text:?}: {error}");
    }
}

#[test]
fn file_error_has_the_path() {
    let path = std::env::temp_dir().join(format!("propagation-schema-{}.toml", std::process::id()));
    std::fs::write(&path, "\n[[values]]\nkey = \"a\"").expect("written");
    let error = Schema::from_file(&path).expect_err("invalid").to_string();
    assert_eq!(error, format!("{}:2:1: a [[values]] rule needs `allowed` or `max_distinct`", path.display()));
    std::fs::remove_file(&path).expect("removed");
    let error = Schema::from_file(&path).expect_err("gone").to_string();
    assert!(error.starts_with("cannot read the schema"), "{error}");
}
