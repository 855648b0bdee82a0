//! Permissions that a newer policy adds to an older one.

use propagation_core::Policy;

const OLD: &str = r#"
[scrub]
patterns = { employee = 'E\d{6}' }

[[inbound]]
peers = ["identity:partner-*"]
trust = "ids-only"
baggage = [{ key = "plan", values = ["free", "pro"] }]

[[inbound]]
peers = ["*"]
trust = "restart"

[[outbound]]
peers = ["kafka:orders"]
tracestate = ["ot"]
baggage = [{ key = "tenant.id", max_length = 8, pattern = "[a-z]+" }, "feature.*"]

[[outbound]]
peers = ["*"]
trace_context = false
"#;

fn loosened(from: &str, to: &str) -> Vec<String> {
    let parse = |text: &str| Policy::from_toml(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    parse(from).loosened_by(&parse(to)).iter().map(ToString::to_string).collect()
}

#[test]
fn each_word_that_allows_more_is_found() {
    for (from, to, expected) in [
        ("trust = \"restart\"", "trust = \"full\"", "inbound *: trust is full instead of restart"),
        ("values = [\"free\", \"pro\"]", "values = [\"free\", \"gold\"]", "key \"plan\" may have more values"),
        ("max_length = 8", "max_length = 9", "key \"tenant.id\" may be longer"),
        ("max_length = 8, ", "", "key \"tenant.id\" may be longer"),
        ("[a-z]+", "[a-z0-9]+", "key \"tenant.id\" has no pattern or another one"),
        ("pattern = \"[a-z]+\"", "pattern = \"[a-z]+\", scrub = false", "key \"tenant.id\" is not scrubbed"),
        ("pattern = \"[a-z]+\"", "pattern = \"[a-z]+\", mode = \"report\"", "key \"tenant.id\" is in report mode"),
        ("pattern = \"[a-z]+\"", "pattern = \"[a-z]+\", scrub = \"mask\"", "findings: mask instead of drop"),
        ("\"feature.*\"", "\"feature.*\", \"plan\"", "outbound kafka:orders: key \"plan\" is allowed"),
        ("\"feature.*\"", "\"feature*\"", "outbound kafka:orders: key \"feature*\" is allowed"),
        ("\"kafka:orders\"", "\"kafka:orders\", \"kafka:next\"", "outbound kafka:next: key \"tenant.id\" is allowed"),
        ("\"kafka:orders\"", "\"kafka:*\"", "outbound kafka:*: trace context is sent"),
        ("tracestate = [\"ot\"]", "tracestate = [\"ot\", \"dd\"]", "tracestate member \"dd\" is sent"),
        ("tracestate = [\"ot\"]", "", "outbound kafka:orders: all of tracestate is sent"),
        ("trace_context = false", "", "outbound *: trace context is sent"),
        ("trace_context = false", "trace_context = false\nmode = \"report\"", "report mode lets every key pass"),
        ("[scrub]", "[scrub]\nexcept = [\"email\"]", "detector \"email\" is off"),
        ("[scrub]", "[scrub]\naction = \"redact\"", "findings: redact instead of drop"),
        ("E\\d{6}", "E\\d{7}", "pattern \"employee\" is off or changed"),
    ] {
        let new = OLD.replace(from, to);
        assert_ne!(new, OLD, "{from}");
        let found = loosened(OLD, &new);
        assert!(found.iter().any(|line| line.contains(expected)), "{from} -> {to}: {found:#?}");
    }
}

#[test]
fn rule_that_is_gone_or_behind_another_is_found() {
    let found = loosened(OLD, "[[inbound]]\npeers = [\"*\"]\n");
    assert!(found.contains(&"inbound *: trust is full instead of restart".to_owned()), "{found:#?}");
    assert!(found.contains(&"inbound identity:partner-*: trust is full instead of ids-only".to_owned()), "{found:#?}");
    assert!(found.contains(&"outbound *: trace context is sent".to_owned()), "{found:#?}");
    let covered = format!("[[inbound]]\npeers = [\"*\"]\n{OLD}");
    let found = loosened(OLD, &covered);
    assert!(found.contains(&"inbound *: trust is full instead of restart".to_owned()), "{found:#?}");
}

#[test]
fn policy_that_allows_less_or_the_same_loosens_nothing() {
    for (from, to) in [
        ("", ""),
        ("trust = \"restart\"", "trust = \"ignore\""),
        ("trust = \"ids-only\"", "trust = \"restart\""),
        ("values = [\"free\", \"pro\"]", "values = [\"pro\"]"),
        ("max_length = 8", "max_length = 7"),
        (", \"feature.*\"", ""),
        ("\"feature.*\"", "\"feature.a\""),
        ("tracestate = [\"ot\"]", "tracestate = false"),
        ("[scrub]", "[scrub]\naction = \"drop\""),
    ] {
        assert_eq!(loosened(OLD, &OLD.replace(from, to)), [""; 0], "{from} -> {to}");
    }
}
