//! Time of parsing and linting policy files of a thousand and of ten thousand rules: `cargo bench -p propagation-core --bench policy_file`.
//!
//! Prints a line for each: `policy-file <rules> parse <ms> lint <ms>`, the best of five. Both grow linearly with the rules.

use std::{
    fmt::Write,
    hint::black_box,
    time::{Duration, Instant},
};

use propagation_core::Policy;

fn main() {
    for count in [1_000, 10_000] {
        let text = rules(count);
        let parse = best(|| drop(black_box(Policy::from_toml(&text).expect("a legal policy"))));
        let lint = best(|| drop(black_box(Policy::lint_toml(&text).expect("a legal policy"))));
        println!("policy-file {count} parse {} lint {}", parse.as_millis(), lint.as_millis());
    }
}

/// Rules for as many topics, each with a key, a value set and a pattern.
fn rules(count: usize) -> String {
    let keys =
        r#""tenant.id", { key = "plan", values = ["free", "pro"] }, { key = "locale", pattern = "[a-z]{2}-[A-Z]{2}" }"#;
    let mut text = String::new();
    for at in 0..count {
        let direction = if at % 2 == 0 { "inbound" } else { "outbound" };
        let _ = write!(
            text,
            "[[{direction}]]\nname = \"rule {at}\"\npeers = [\"kafka:topic-{at}\"]\nbaggage = [{keys}]\n\n"
        );
    }
    text
}

fn best(run: impl Fn()) -> Duration {
    let once = || {
        let began = Instant::now();
        run();
        began.elapsed()
    };
    (0..5).map(|_| once()).min().unwrap_or_default()
}
