//! Exact trees and links of a journey, as text.

use std::time::{Duration, Instant};

use propagation_testkit::trace::{SpanId, TraceGraph};

use crate::shop::{CALLER, PATIENCE, Shop};

impl Shop {
    /// Waits until each of these spans has ended and returns the graph of everything that this test's services recorded.
    pub(crate) async fn spans(&self, count: usize) -> TraceGraph {
        let began = Instant::now();
        self.flush().await;
        while self.receiver.graph().len() < count && began.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.flush().await;
        }
        self.receiver.graph().with_outside([CALLER.parse::<SpanId>().unwrap()])
    }

    /// Asserts that the test's services recorded exactly these spans, parents and links: see [`TraceGraph::normalized`].
    ///
    /// The numbers that make names unique to a run are left out.
    pub(crate) async fn assert_drawn(&self, expected: &str) {
        let count = expected.lines().filter(|line| line.trim_start().starts_with('#')).count();
        let graph = self.spans(count).await;
        let drawn = self.without_run(&graph.normalized().to_string());
        assert!(drawn == expected, "expected\n{expected}\nfound\n{drawn}");
        graph.assert_sampled_consistently().assert_nothing_dropped();
    }

    /// Removes the suffix that [`Shop::name`] adds to a name.
    pub(crate) fn without_run(&self, text: &str) -> String {
        let mark = format!("-{}-", self.run());
        let mut parts = text.split(mark.as_str());
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |shown, part| shown + part.trim_start_matches(|letter: char| letter.is_ascii_digit()))
    }
}
