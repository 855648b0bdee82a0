//! Events of one test, while tests without a subscriber run on other threads.

use std::sync::LazyLock;

use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};

/// Runs a closure with a subscriber of its thread, which receives every event that it enables.
///
/// Tracing caches per callsite whether a subscriber is interested. While the process has one subscriber, the thread that reaches a
/// callsite first decides alone, and the threads of other tests have none. A second subscriber makes tracing query all of them.
pub(crate) fn with_subscriber<T>(subscriber: impl Into<Dispatch>, run: impl FnOnce() -> T) -> T {
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));
    LazyLock::force(&SECOND);
    dispatcher::with_default(&subscriber.into(), run)
}

/// Reaches the callsite of a test first, on a thread without a subscriber.
#[test]
fn callsite_of_another_thread_is_not_cached_as_uninteresting() {
    fn warn(lines: &str) {
        tracing::warn!(lines, "reached");
    }
    let written = crate::gate::Lines::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    with_subscriber(subscriber, || {
        std::thread::spawn(|| warn("elsewhere")).join().unwrap();
        warn("here");
    });
    assert_eq!(written.text().matches("reached").count(), 1, "{}", written.text());
}
