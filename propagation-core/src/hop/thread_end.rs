//! Prevents accesses to destroyed thread locals of tracing APIs while a thread ends.
//!
//! Destructors of thread locals run one after the other, in practice the last initialised one first. One of them may own a future of ours,
//! or read the current context, after the thread locals of OpenTelemetry or `tracing` were destroyed. An access to those panics, a panic in
//! such a destructor aborts the process, and neither library has a way to find out. So a sentinel is initialised after the first access of
//! each kind. It is destroyed before everything that the access initialised, and from then on no access is made on the thread.
//! The first access of a kind on a thread may come too late. Its panic is caught.

use std::{
    any::Any,
    cell::Cell,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

/// A kind of access to thread locals of a tracing API.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// Reads the current span.
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

/// Returns `true` if thread locals of tracing APIs may be destroyed on this thread.
pub(crate) fn is_ending() -> bool {
    STATE.get() == ENDING
}

/// Returns `true` if an access of this kind is certainly safe.
pub(crate) fn is_known(kind: Access) -> bool {
    STATE.get() & kind as u8 != 0
}

/// Makes an access. Returns `None` if the thread locals are destroyed.
pub(crate) fn access<R>(kind: Access, make: impl FnOnce() -> R) -> Option<R> {
    if is_known(kind) {
        return Some(make());
    }
    if is_ending() { None } else { first(kind, make, || true) }
}

/// Runs `run` within `enter`, or alone if the thread locals are destroyed.
///
/// `enter` takes a closure that can be called more than once, because [`BridgeSpan::enter`](super::BridgeSpan::enter) must be object safe.
/// `run` runs exactly once, also if `enter` forgets the call or repeats it.
pub(crate) fn enter<R>(enter: impl FnOnce(&mut dyn FnMut()), run: impl FnOnce() -> R) -> R {
    let mut run = Some(run);
    let mut result = None;
    // A panic while this is true is that of the work.
    let working = Cell::new(false);
    let mut within = || {
        if let Some(run) = run.take() {
            working.set(true);
            result = Some(run());
            working.set(false);
        }
    };
    if is_known(Access::Enter) {
        enter(&mut within);
    } else if !is_ending() {
        first(Access::Enter, || enter(&mut within), || !working.get());
    }
    // A bridge that forgets to call back must not lose the user's work.
    // Not one match over both: it would move them first, and results may be large.
    match result {
        Some(result) => result,
        None => run.map_or_else(|| unreachable!("`run` was taken and has returned"), |run| run()),
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

/// Returns `true` for the panic of a destroyed thread local: that of the standard library, or of the slab in `tracing-subscriber`.
fn is_access_error(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.is_some_and(|text| text.contains("Thread Local Storage") || text.contains("Thread count overflowed"))
}

/// Runs work that accesses thread locals of tracing APIs on a thread of its own, without waiting for it: joining a thread in a destructor of
/// a thread local can deadlock. If no thread can be spawned, the work is leaked.
#[cold]
pub(crate) fn elsewhere(work: impl FnOnce() + Send + 'static) {
    let work = ManuallyDrop::new(work);
    let run = move || ManuallyDrop::into_inner(work)();
    let _ = thread::Builder::new().name("propagation-end".to_owned()).spawn(run);
}
