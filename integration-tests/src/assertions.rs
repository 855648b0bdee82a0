//! From a claim that returns a result to an assertion that panics.

/// Makes an `assert_…` twin for each claim of a type.
macro_rules! assertions {
    ($of:ty: $($(#[$doc:meta])* $assert:ident = $claim:ident($($argument:ident: $type:ty),*);)*) => {
        /// The same claims, for tests: each panics with the explanation where the claim does not hold.
        impl $of {
            $(
                $(#[$doc])*
                ///
                /// # Panics
                #[doc = concat!("Where [`", stringify!($claim), "`](Self::", stringify!($claim), ") returns an error.")]
                #[track_caller]
                pub fn $assert(&self $(, $argument: $type)*) -> &Self {
                    if let Err(broken) = self.$claim($($argument),*) {
                        panic!("{broken}");
                    }
                    self
                }
            )*
        }
    };
}

pub(crate) use assertions;
