//! The algorithms a token may be signed with (RFC 7518 §3.1, RFC 8037 §3.1).

macro_rules! algorithms {
    ($($variant:ident $name:literal,)+) => {
        /// One of them. `none` is not: a token nobody signed says nothing.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Algorithm { $($variant,)+ }

        impl Algorithm {
            /// The algorithm of this name. Names are case-sensitive (RFC 7515 §4.1.1).
            pub(super) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

algorithms! {
    Hs256 "HS256",
    Hs384 "HS384",
    Hs512 "HS512",
    Rs256 "RS256",
    Rs384 "RS384",
    Rs512 "RS512",
    Ps256 "PS256",
    Ps384 "PS384",
    Ps512 "PS512",
    Es256 "ES256",
    Es384 "ES384",
    Es512 "ES512",
    EdDsa "EdDSA",
}
