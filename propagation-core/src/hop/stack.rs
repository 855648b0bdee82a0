//! The stack of hops that a thread is inside of.

use std::{cell::RefCell, sync::Arc};

use super::{CallSite, Exception, span::Active};
use crate::{PropagationContext, bridge::HopId, model::origin::Origin};

thread_local! {
    /// The hops that this thread is inside of, innermost last.
    static STACK: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Entered {
    pub(super) active: Arc<Active>,
    pub(super) place: CallSite,
}

/// The innermost hop on this thread.
pub(crate) fn innermost<R>(look: impl FnOnce(Option<(&PropagationContext, HopId)>) -> R) -> R {
    look(top().as_ref().map(|active| (&active.context, active.id)))
}

/// The origin of a context. One that was made by hand inherits the admission of the hop that it is used in.
pub(crate) fn origin_of(context: &PropagationContext) -> Origin {
    let mut origin = context.origin;
    if origin.admission.is_none() {
        origin.admission = innermost(|hop| hop.and_then(|(context, _)| context.origin.admission));
    }
    origin
}

/// Shared, so that nothing of ours is borrowed while others' code looks at it.
pub(super) fn top() -> Option<Arc<Active>> {
    let top =
        |stack: &RefCell<Vec<Entered>>| stack.try_borrow().ok()?.last().map(|entered| Arc::clone(&entered.active));
    STACK.try_with(top).ok().flatten()
}

/// Whether this thread is inside a hop.
pub(crate) fn is_inside() -> bool {
    STACK.try_with(|stack| stack.try_borrow().is_ok_and(|stack| !stack.is_empty())).unwrap_or(false)
}

pub(super) fn look<R: Default>(look: impl FnOnce(&[Entered]) -> R) -> R {
    STACK.try_with(|stack| stack.try_borrow().map(|stack| look(&stack)).unwrap_or_default()).unwrap_or_default()
}

/// Puts a hop on this thread's stack; leaving removes it, also when the work panics.
pub(super) fn push(active: &Arc<Active>, place: CallSite) -> Left<'_> {
    let entered = Entered { active: Arc::clone(active), place };
    let pushed = STACK.try_with(|stack| stack.try_borrow_mut().map(|mut stack| stack.push(entered)).is_ok());
    Left { active: pushed.unwrap_or(false).then_some(active) }
}

pub(super) struct Left<'a> {
    active: Option<&'a Arc<Active>>,
}

/// What is still inside stays.
#[cold]
fn leave_out_of_order(stack: &mut Vec<Entered>, top: Entered, active: &Arc<Active>) -> Option<Entered> {
    stack.push(top);
    let own = stack.iter().rposition(|entered| Arc::ptr_eq(&entered.active, active))?;
    Some(stack.remove(own))
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        let Some(active) = self.active else { return };
        let left = STACK.try_with(|stack| {
            let mut stack = stack.try_borrow_mut().ok()?;
            let left = stack.pop()?;
            if Arc::ptr_eq(&left.active, active) { Some(left) } else { leave_out_of_order(&mut stack, left, active) }
        });
        // Dropped outside the borrow: the last owner of a hop may run user code.
        drop(left);
    }
}

impl PropagationContext {
    /// The context of the innermost hop that this code runs in, without asking any tracing API; empty outside of one.
    ///
    /// Outgoing calls carry [`Propagator::current`](crate::Propagator::current), which knows the spans inside the hop, too.
    #[must_use]
    pub fn current() -> Self {
        innermost(|hop| hop.map(|(context, _)| context.clone()).unwrap_or_default())
    }
}

/// Keeps an exception for the record of the innermost hop, if that has none yet.
pub(crate) fn note(exception: Exception) {
    if let Some(span) = top().as_ref().and_then(|active| active.span.as_ref()) {
        // Whoever sees an error first knows the most of it.
        let _ = span.noted.set(Box::new(exception));
    }
}
