//! Keeps the thread locals of tracing APIs out of reach while a thread ends.
//!
//! Destructors of thread locals run one after the other, in practice the last initialised one first. One of them may own a future of ours,
//! or ask for the current context, when the thread locals of OpenTelemetry or `tracing` are destroyed already. An access to those panics,
//! a panic in such a destructor aborts the process, and neither library can be asked. So a sentinel is initialised after the first access of
//! each kind: it is destroyed before all that was initialised by the access, and from then on no access is made on the thread.
//! The first access of a kind on a thread may come too late. It is made with its panic caught.

use std::{
    any::Any,
    cell::Cell,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

/// A kind of access to others' thread locals.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// Looks at the current span.
    Current = 1,
    /// Starts a span.
    Start = 2,
    /// Enters a span.
    Enter = 4,
    /// Changes or ends a span.
    End = 8,
}

const ENDING: u8 = 128;

thread_local! {
    /// The kinds with a sentinel, or [`ENDING`]. Without a destructor: readable to the end.
    static STATE: Cell<u8> = const { Cell::new(0) };
    static CURRENT: Sentinel = const { Sentinel };
    static START: Sentinel = const { Sentinel };
    static ENTER: Sentinel = const { Sentinel };
    static END: Sentinel = const { Sentinel };
}

struct Sentinel;

impl Drop for Sentinel {
    fn drop(&mut self) {
        STATE.set(ENDING);
    }
}

/// Whether others' thread locals may be destroyed on this thread.
pub(crate) fn is_ending() -> bool {
    STATE.get() == ENDING
}

/// Whether an access of this kind is safe for certain.
pub(crate) fn is_known(kind: Access) -> bool {
    STATE.get() & kind as u8 != 0
}

/// Makes an access; `None` where the thread locals are destroyed.
pub(crate) fn access<R>(kind: Access, make: impl FnOnce() -> R) -> Option<R> {
    if is_known(kind) {
        return Some(make());
    }
    if is_ending() { None } else { first(kind, make, || true) }
}

/// Runs `run` within `enter`, or alone where the thread locals are destroyed.
pub(crate) fn enter<R>(enter: impl FnOnce(&mut dyn FnMut()), run: impl FnOnce() -> R) -> R {
    let mut run = Some(run);
    let mut answer = None;
    // Whether the work is under way: a panic is its own then.
    let working = Cell::new(false);
    let mut within = || {
        if let Some(run) = run.take() {
            working.set(true);
            answer = Some(run());
            working.set(false);
        }
    };
    if is_known(Access::Enter) {
        enter(&mut within);
    } else if !is_ending() {
        first(Access::Enter, || enter(&mut within), || !working.get());
    }
    // A bridge that forgets to call back must not lose the user's work.
    match (answer, run) {
        (Some(answer), _) => answer,
        (None, Some(run)) => run(),
        (None, None) => unreachable!("a closure that was taken has answered"),
    }
}

/// The first access of a kind on a thread.
#[cold]
fn first<R>(kind: Access, make: impl FnOnce() -> R, may_catch: impl FnOnce() -> bool) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(made) => {
            let sentinel = match kind {
                Access::Current => &CURRENT,
                Access::Start => &START,
                Access::Enter => &ENTER,
                Access::End => &END,
            };
            // Registers its destructor.
            if sentinel.try_with(|_| ()).is_ok() {
                STATE.set(STATE.get() | kind as u8);
            }
            Some(made)
        }
        Err(panic) if may_catch() && is_access_error(&*panic) => {
            STATE.set(ENDING);
            None
        }
        Err(panic) => resume_unwind(panic),
    }
}

/// Whether a panic is the one of a destroyed thread local: that of the standard library, or of the slab that `tracing-subscriber` uses.
fn is_access_error(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.is_some_and(|text| text.contains("Thread Local Storage") || text.contains("Thread count overflowed"))
}

/// Runs work that reaches others' thread locals on a thread of its own, without waiting for it: joining a thread in a destructor of a thread
/// local can deadlock. Where no thread can be had, the work is leaked.
#[cold]
pub(crate) fn elsewhere(work: impl FnOnce() + Send + 'static) {
    let work = ManuallyDrop::new(work);
    let run = move || ManuallyDrop::into_inner(work)();
    let _ = thread::Builder::new().name("propagation-end".to_owned()).spawn(run);
}
