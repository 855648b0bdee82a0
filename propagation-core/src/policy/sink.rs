use super::Policy;

/// A holder of the policy in force, in which a newer policy replaces it: a [`Propagator`](crate::Propagator), or a closure.
pub trait PolicySink: Send + Sync + 'static {
    /// Puts a policy in force.
    fn replace_policy(&self, policy: Policy);
}

impl<F: Fn(Policy) + Send + Sync + 'static> PolicySink for F {
    fn replace_policy(&self, policy: Policy) {
        self(policy);
    }
}
