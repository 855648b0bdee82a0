//! Time of parsing and linting against the number of rules.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use propagation_core::Policy;

/// Rules for as many topics, each with keys, a pattern and a value set.
fn rules(count: usize) -> String {
    let mut text = String::new();
    for at in 0..count {
        let direction = if at % 2 == 0 { "inbound" } else { "outbound" };
        let keys =
            r#""tenant.id", { key = "plan", values = ["free", "pro"] }, { key = "id", pattern = "[a-z]{1,20}" }"#;
        let _ = write!(
            text,
            "[[{direction}]]\nname = \"rule {at}\"\npeers = [\"kafka:topic-{at}\"]\nbaggage = [{keys}]\n\n"
        );
    }
    text
}

fn time(run: impl Fn()) -> Duration {
    let began = Instant::now();
    run();
    began.elapsed()
}

/// Eight times the input takes 8 times the time if it is linear, and 64 times if it is quadratic. The limit lies near the latter, and one
/// round of many is enough, because the machine may be busy with other tests; the bench `policy_file` has the figures.
fn assert_grows_linearly(of: impl Fn(usize)) {
    let mut rounds = Vec::new();
    for _ in 0..15 {
        let (few, many) = (time(|| of(250)), time(|| of(2000)));
        if many < few * 40 {
            return;
        }
        rounds.push((few, many));
    }
    panic!("not linear; times of 250 and of 2,000 rules: {rounds:?}");
}

#[test]
fn parsing_time_grows_linearly_with_rules() {
    let texts = [rules(250), rules(2000)];
    assert_grows_linearly(|count| drop(Policy::from_toml(&texts[usize::from(count > 250)]).unwrap()));
}

#[test]
fn lint_time_grows_linearly_with_warnings() {
    // Each rule has a personal key, and repeats the one before it.
    let text = |count| rules(count).replace("\"tenant.id\"", "\"user.email\"").replace("topic-", "topic-1");
    let texts = [text(250), text(2000)];
    assert_grows_linearly(|count| {
        assert!(Policy::lint_toml(&texts[usize::from(count > 250)]).unwrap().len() >= count);
    });
}

#[test]
fn many_keys_in_one_rule_are_linted_in_linear_time() {
    let text = |count: usize| {
        let keys: Vec<String> = (0..count * 4).map(|at| format!("\"key.{at}\"")).collect();
        format!("[[outbound]]\npeers = [\"kafka:orders\"]\nbaggage = [{}]\n", keys.join(", "))
    };
    let texts = [text(250), text(2000)];
    assert_grows_linearly(|count| drop(Policy::lint_toml(&texts[usize::from(count > 250)]).unwrap()));
}

#[test]
fn error_in_the_last_of_many_rules_has_its_place() {
    let text = rules(4000) + "[[outbound]]\npeers = [\"kafk:x\"]\n";
    let error = Policy::from_toml(&text).unwrap_err();
    assert_eq!(error.place(), Some((4000 * 5 + 2, 10)), "{error}");
    assert_eq!(error.excerpt(), Some("      |\n20002 | peers = [\"kafk:x\"]\n      |          ^^^^^^^^"));
}
