//! The cases, and what one operation of each is.

/// One operation; answers something of what it did, so that no compiler leaves it out.
pub type Operation = Box<dyn FnMut() -> usize>;

macro_rules! cases {
    ($($name:ident = $text:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Case {
            $($name,)*
        }

        impl Case {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

cases! {
    ExtractA = "extract-a",
    ExtractC = "extract-c",
    ExtractCRead = "extract-c-read",
    ExtractD = "extract-d",
    ExtractE = "extract-e",
    InjectA = "inject-a",
    InjectC = "inject-c",
    GuardC = "guard-c",
    LayerC = "layer-c",
    ExtractABad = "extract-a-malformed",
    ExtractCBad = "extract-c-malformed",
    ExtractDBad = "extract-d-malformed",
    HostileCommas = "hostile-commas-64k",
    HostileLong = "hostile-value-64k",
    HostileEscapes = "hostile-escapes-64k",
}
