//! Assertions on causal order, independent of clock skew.

use crate::trace::clock::causes;
use crate::trace::tree::millis;
use crate::trace::{AssertionFailure, Clocks, Span, SpanSelector, TraceGraph, causes as likely};

/// Claims on time.
impl TraceGraph {
    /// The first spans that match these selectors began in this order. Differences between clocks are corrected as far as calls
    /// between the services show them ([`Clocks`]).
    ///
    /// # Errors
    /// With the two spans in the wrong order, or the missing one.
    pub fn ordered(&self, steps: &[SpanSelector]) -> Result<(), AssertionFailure> {
        let clocks = Clocks::of(self);
        let mut before: Option<(&Span, &SpanSelector)> = None;
        for which in steps {
            let claim = || match before {
                Some((_, earlier)) => AssertionFailure::new(format!("ordered: {earlier} begins before {which}")),
                None => AssertionFailure::new(format!("ordered: {which} begins first")),
            };
            let Some(span) = self.find(which).min_by_key(|span| clocks.start(span)) else {
                let broken = likely::nearest(self, which, claim().found(format!("there is no such span as {which}")));
                return Err(broken.picture(self.picture([]).to_string()));
            };
            if let Some((earlier, _)) = before
                && clocks.start(span) < clocks.start(earlier)
            {
                let by = millis(clocks.start(earlier) - clocks.start(span));
                let broken = claim().found(format!("{} began {by} before {}", span.label(), earlier.label()));
                return Err(broken.picture(self.picture([earlier.trace_id, span.trace_id]).to_string()));
            }
            before = Some((span, which));
        }
        Ok(())
    }

    /// No span begins before its cause, its parent or the message it links to, even when each clock may be set anew
    /// to make it so.
    ///
    /// Within one process the clock is the same, so there a cause must come first as it is. Between processes this fails
    /// only where no setting of the clocks explains all the times.
    ///
    /// # Errors
    /// With each pair that is the wrong way round.
    pub fn causal_times(&self) -> Result<(), AssertionFailure> {
        let clocks = Clocks::of(self);
        let mut broken = AssertionFailure::new("causal times: no span begins before its cause");
        let mut wrong = Vec::new();
        for span in self.spans() {
            if span.end < span.start {
                broken = broken.found(format!(
                    "{} ended {} before it began",
                    span.label(),
                    millis(i128::from(span.start) - i128::from(span.end))
                ));
                wrong.push(span);
            }
            for (cause, _) in causes(self, span) {
                let early = clocks.start(cause) - clocks.start(span);
                if early > 0 {
                    broken = broken.found(format!(
                        "{} began {} before {}, which caused it",
                        span.label(),
                        millis(early),
                        cause.label()
                    ));
                    wrong.push(span);
                }
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let mut tree = self.picture(wrong.iter().map(|span| span.trace_id));
        for span in wrong {
            tree = tree.remark(span, "too early");
        }
        Err(broken
            .cause("a span took the context of a later request or message, or its start time was set by hand")
            .picture(tree.to_string()))
    }
}
