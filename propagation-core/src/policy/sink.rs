use super::Policy;

/// A place where a policy is in force, and that a newer policy replaces it in: a [`Propagator`](crate::Propagator), or a closure.
pub trait PolicySink: Send + Sync + 'static {
    /// Puts a policy in force.
    fn replace_policy(&self, policy: Policy);
}

impl<F: Fn(Policy) + Send + Sync + 'static> PolicySink for F {
    fn replace_policy(&self, policy: Policy) {
        self(policy);
    }
}
