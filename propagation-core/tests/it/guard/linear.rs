//! Time of parsing and linting against the number of rules.

use std::{
    fmt::Write,
    fs, thread,
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

/// Returns the processor time that this thread has used. The time in which others have the processor does not count.
///
/// Without `/proc/thread-self/schedstat`, which has nanoseconds, it is the time since the test began.
fn processor_time() -> Duration {
    thread_local!(static BEGAN: Instant = Instant::now());
    // The kernel updates the figure when the thread gives the processor away.
    thread::yield_now();
    let used = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let used = used.as_deref().and_then(|line| line.split(' ').next()).and_then(|used| used.parse().ok());
    used.map_or_else(|| BEGAN.with(Instant::elapsed), Duration::from_nanos)
}

fn time(run: impl Fn()) -> Duration {
    let began = processor_time();
    run();
    processor_time() - began
}

/// Eight times the input takes 8 times the time if it is linear, and 64 times if it is quadratic. Compares the shortest times: caches that
/// other tests have emptied only make a round longer. The bench `policy_file` has the figures.
fn assert_grows_linearly(of: impl Fn(usize)) {
    let (mut few, mut many) = (Duration::MAX, Duration::MAX);
    for _ in 0..15 {
        few = few.min(time(|| of(250)));
        many = many.min(time(|| of(2000)));
        if many < few * 24 {
            return;
        }
    }
    panic!("not linear: {few:?} for 250 rules, {many:?} for 2,000");
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
