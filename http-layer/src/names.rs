//! The span names of known routes and methods.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use propagation_core::{Policy, Propagator};

/// The name of spans, and the target that it contains. Both live as long as the process, so that spans share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanName {
    /// `{method} {target}`, or the target alone.
    pub name: &'static str,
    /// A route, or a method of gRPC.
    pub target: &'static str,
}

/// Span names that have passed the guard of the policy in force, so that they are composed and scanned once.
///
/// For targets that the service itself declares, such as the templates of its routes: a process keeps at most 1,000 names. A name that
/// the guard changes is not kept, and all are guarded again when the policy is replaced. Clones share the names.
#[derive(Clone, Default)]
pub struct SpanNames(Arc<ArcSwapOption<Guarded>>);

#[derive(Clone)]
struct Guarded {
    policy: Arc<Policy>,
    /// The methods and names of each target. Sorted: a look-up among some dozen routes costs less than hashing one.
    targets: BTreeMap<&'static str, Vec<(&'static str, SpanName)>>,
}

impl SpanNames {
    /// Returns the name `{method} {target}`, or the target alone if the method is empty. `None` if the policy's guard would change it, or if
    /// there is no room for it.
    pub fn find(&self, propagator: &Propagator, method: &'static str, target: &str) -> Option<SpanName> {
        let policy = propagator.policy_guard();
        let guarded = self.0.load();
        let current = guarded.as_ref().filter(|guarded| std::ptr::eq(&*guarded.policy, &*policy));
        if let Some(names) = current.and_then(|current| current.targets.get(target))
            && let Some((_, known)) = names.iter().find(|(known, _)| *known == method)
        {
            return Some(*known);
        }
        let known = guarded_name(&policy, method, target)?;
        let mut next = match current {
            Some(current) => Guarded::clone(current),
            None => Guarded { policy: propagator.policy(), targets: BTreeMap::new() },
        };
        if std::ptr::eq(&*next.policy, &*policy) {
            next.targets.entry(known.target).or_default().push((method, known));
            self.0.store(Some(Arc::new(next)));
        }
        Some(known)
    }
}

/// Composes a name, if the policy's guard passes it unchanged.
#[cold]
fn guarded_name(policy: &Policy, method: &'static str, target: &str) -> Option<SpanName> {
    let name = if method.is_empty() { target.to_owned() } else { [method, " ", target].concat() };
    let passes = name.len() <= policy.telemetry_limits().name
        && matches!(policy.guard_text("", &name), Some(Cow::Borrowed(shown)) if shown == name);
    if !passes {
        return None;
    }
    let at = name.len() - target.len();
    let name = interned(name)?;
    Some(SpanName { name, target: name.get(at..)? })
}

/// The most names that the process keeps. Services have fewer routes.
const MAX_NAMES: usize = 1_000;

/// Returns a text that lives as long as the process; `None` once there are too many.
fn interned(name: String) -> Option<&'static str> {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    /// Spares requests the lock once there is no room.
    static IS_FULL: AtomicBool = AtomicBool::new(false);
    if IS_FULL.load(Ordering::Relaxed) {
        return None;
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(&*name) {
        return Some(known);
    }
    if names.len() >= MAX_NAMES {
        IS_FULL.store(true, Ordering::Relaxed);
        return None;
    }
    let name: &'static str = Box::leak(name.into_boxed_str());
    names.insert(name);
    Some(name)
}

impl fmt::Debug for SpanNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets = self.0.load().as_ref().map_or(0, |guarded| guarded.targets.len());
        f.debug_struct("SpanNames").field("targets", &targets).finish()
    }
}

#[cfg(test)]
mod tests {
    use propagation_core::Scrub;

    use super::*;

    #[test]
    fn known_target_shares_its_name_for_each_method() {
        let (names, propagator) = (SpanNames::default(), Propagator::default());
        for _ in 0..2 {
            for (method, name) in [
                ("GET", "GET /orders/{id}"),
                ("PUT", "PUT /orders/{id}"),
                ("", "/orders/{id}"),
                ("GET", "GET /orders/{id}"),
            ] {
                let found = names.find(&propagator, method, "/orders/{id}").unwrap();
                assert_eq!((found.name, found.target), (name, "/orders/{id}"));
                assert!(std::ptr::eq(found.name, names.find(&propagator, method, "/orders/{id}").unwrap().name));
            }
        }
        assert_eq!(names.0.load().as_ref().unwrap().targets["/orders/{id}"].len(), 3);
    }

    #[test]
    fn name_that_the_guard_changes_is_not_kept() {
        let (names, propagator) = (SpanNames::default(), Propagator::default());
        let long = format!("/{}", "x".repeat(128));
        for target in ["/anna@example.com", "/a\u{7}", &long] {
            assert_eq!(names.find(&propagator, "GET", target), None, "{target}");
        }
        propagator.set_policy(Policy::builder().scrub(Scrub::off()).build().unwrap());
        assert!(names.find(&propagator, "GET", "/anna@example.com").is_some());
        propagator.set_policy(Policy::default());
        assert_eq!(names.find(&propagator, "GET", "/anna@example.com"), None, "the policy was replaced");
        assert!(names.find(&propagator, "GET", "/orders").is_some());
    }
}
