//! The stack of hops that a thread is inside of.

use std::{cell::RefCell, sync::Arc};

use super::{CallSite, Exception, HopId, active::ActiveHop, findings::Findings};
use crate::{PropagationContext, model::origin::Origin};

thread_local! {
    /// The hops that this thread is inside of, innermost last.
    static STACK: RefCell<Vec<StackEntry>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct StackEntry {
    pub(super) hop: Arc<ActiveHop>,
    /// The call that entered the hop.
    pub(super) site: CallSite,
}

/// Calls `look` with the context and id of the innermost hop. The stack is not borrowed meanwhile: `look` may run foreign code.
pub(crate) fn innermost<R>(look: impl FnOnce(Option<(&PropagationContext, HopId)>) -> R) -> R {
    let top = peek(|stack| stack.last().map(|entry| Arc::clone(&entry.hop)));
    look(top.as_ref().map(|hop| (&hop.context, hop.id)))
}

/// Returns the origin of a context. A context that was made by hand inherits the admission of the hop that it is used in.
pub(crate) fn origin_of(context: &PropagationContext) -> Origin {
    let mut origin = context.origin;
    if origin.admission.is_none() {
        origin.admission = peek(|stack| stack.last()?.hop.context.origin.admission);
    }
    origin
}

/// Calls `look` with the findings of the innermost hop, if a context has baggage of that hop, and with whether it has all of it. The stack
/// is not borrowed meanwhile.
pub(crate) fn with_findings<R>(context: &PropagationContext, look: impl FnOnce(Option<&Findings>, bool) -> R) -> R {
    if context.baggage.is_empty() {
        return look(None, false);
    }
    // The hop keeps its text alive, so that no other text can have its place in memory.
    let top = peek(|stack| {
        let top = stack.last().filter(|entry| entry.hop.context.baggage.shares_text(&context.baggage));
        top.map(|entry| Arc::clone(&entry.hop))
    });
    let is_whole = top.as_ref().is_some_and(|hop| hop.context.baggage.keeps_same(&context.baggage));
    look(top.as_ref().map(|hop| &hop.findings), is_whole)
}

/// Returns the id of the innermost hop.
pub(crate) fn current_id() -> Option<HopId> {
    peek(|stack| stack.last().map(|entry| entry.hop.id))
}

/// Returns `true` inside a [suppressed](crate::Propagator::suppressed) scope.
pub(crate) fn is_suppressed() -> bool {
    peek(|stack| stack.last().is_some_and(|entry| entry.hop.context.origin.suppressed))
}

/// Returns `true` if this thread is inside a hop.
pub(crate) fn is_inside() -> bool {
    peek(|stack| !stack.is_empty())
}

/// Looks at the stack while it is borrowed: `look` must not run foreign code.
pub(super) fn peek<R: Default>(look: impl FnOnce(&[StackEntry]) -> R) -> R {
    STACK.try_with(|stack| stack.try_borrow().map(|stack| look(&stack)).unwrap_or_default()).unwrap_or_default()
}

impl PropagationContext {
    /// Returns the context of the innermost hop on this thread, without looking at any tracing API; empty outside of hops.
    ///
    /// Outgoing calls carry [`Propagator::current`](crate::Propagator::current), which includes spans inside the hop.
    #[must_use]
    pub fn current() -> Self {
        peek(|stack| stack.last().map(|entry| entry.hop.context.clone()).unwrap_or_default())
    }
}

/// Keeps an exception for the record of the innermost hop, unless that has one already: the first one has seen the error closest.
pub(super) fn record_exception(exception: Exception) {
    let top = peek(|stack| stack.last().map(|entry| Arc::clone(&entry.hop)));
    if let Some(span) = top.as_ref().and_then(|hop| hop.span.as_ref()) {
        let captures =
            exception.stacktrace.is_none() && span.exception.get().is_none() && span.host.takes_stack_traces();
        let exception = if captures { exception.with_backtrace() } else { exception };
        let _ = span.exception.set(Box::new(exception));
    }
}

/// Puts a hop on this thread's stack. The guard removes it, also when the work panics.
pub(super) fn push(hop: &Arc<ActiveHop>, site: CallSite) -> PopGuard<'_> {
    let entry = StackEntry { hop: Arc::clone(hop), site };
    let pushed = STACK.try_with(|stack| stack.try_borrow_mut().map(|mut stack| stack.push(entry)).is_ok());
    PopGuard { hop: pushed.unwrap_or(false).then_some(hop) }
}

/// Removes a hop from the stack when it is dropped.
pub(super) struct PopGuard<'a> {
    /// `None` if the stack was not accessible.
    hop: Option<&'a Arc<ActiveHop>>,
}

impl Drop for PopGuard<'_> {
    fn drop(&mut self) {
        let Some(hop) = self.hop else { return };
        let removed = STACK.try_with(|stack| {
            let mut stack = stack.try_borrow_mut().ok()?;
            let top = stack.pop()?;
            if Arc::ptr_eq(&top.hop, hop) { Some(top) } else { remove_out_of_order(&mut stack, top, hop) }
        });
        // Dropped outside the borrow: the last owner of a hop may run foreign code.
        drop(removed);
    }
}

/// Removes a hop that is not at the top. Hops that were entered after it stay.
#[cold]
fn remove_out_of_order(stack: &mut Vec<StackEntry>, top: StackEntry, hop: &Arc<ActiveHop>) -> Option<StackEntry> {
    stack.push(top);
    let own = stack.iter().rposition(|entry| Arc::ptr_eq(&entry.hop, hop))?;
    Some(stack.remove(own))
}
