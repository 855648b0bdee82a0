//! Generates a panicking `assert_…` method for each method that returns a result.

/// Generates an `assert_…` variant for each assertion of a type.
macro_rules! assertions {
    ($of:ty: $($(#[$doc:meta])* $assert:ident = $claim:ident($($argument:ident: $type:ty),*);)*) => {
        /// Panicking variants of the assertions, for tests.
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
