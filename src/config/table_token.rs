//! The options of tokens. A part of the table in `table`.

use std::time::Duration;

use super::declare::{Declared, declared_at, dotted, options, place, section};
use super::setting::{ClaimPicks, Secret, Setting};

options! {
    /// Tokens that clients connect with.
    Token at (client.token) {
        /// Key of HS256, HS384 and HS512. Empty: no such token is accepted.
        hmac_secret_key: Secret = Secret::default(), ["token_hmac_secret_key"], [];
        /// Key of HS256, HS384 and HS512 that still counts beside the other while clients have
        /// tokens of it.
        hmac_previous_secret_key: Secret = Secret::default(), [], [];
        /// When the previous key ends, Unix seconds. 0: never.
        hmac_previous_secret_key_valid_until: i64 = 0, [], [];
        /// Key of RS256 to RS512 and PS256 to PS512 as PEM text, a public key or a certificate.
        rsa_public_key: String = String::new(), ["token_rsa_public_key"], [];
        /// Key of ES256, ES384 or ES512, by its curve, as PEM text.
        ecdsa_public_key: String = String::new(), ["token_ecdsa_public_key"], [];
        /// Key of EdDSA as PEM text: an Ed25519 key.
        eddsa_public_key: String = String::new(), [], [];
        /// Where the identity provider publishes its keys (a JSON Web Key Set). Then the keys above
        /// do not count, and every token must name its key (`kid`). `{{name}}` in it stands for what
        /// the group of that name takes from `iss` or `aud`.
        jwks_public_endpoint: String = String::new(), ["token_jwks_public_endpoint"], [];
        /// How long published keys count before they are fetched again. While that fails, they stay.
        jwks_max_age: Duration = Duration::from_secs(3600), [], [];
        /// Lets such groups take anything. Then whoever makes a token chooses where its keys are
        /// fetched: only for patterns that leave no choice.
        insecure_skip_jwks_endpoint_safety_check: bool = false, [], [];
        /// What `aud` must contain. Empty: not checked.
        audience: String = String::new(), ["token_audience"], [];
        /// Pattern of which a match must stand anywhere in `aud`: begin it with ^ and end it with $.
        /// Instead of `audience`.
        audience_regex: String = String::new(), ["token_audience_regex"], [];
        /// What `iss` must be. Empty: not checked.
        issuer: String = String::new(), ["token_issuer"], [];
        /// Pattern of which a match must stand anywhere in `iss`: begin it with ^ and end it with $.
        /// Instead of `issuer`.
        issuer_regex: String = String::new(), ["token_issuer_regex"], [];
        /// Claim that names the user instead of `sub`: letters and underscores.
        user_id_claim: String = String::new(), ["token_user_id_claim"], [];
        /// Members of `meta` that are taken from claims: their keys, and where each stands
        /// (`realm_access.roles.0`). They win over those in the claim `meta`.
        meta_from_claim: ClaimPicks = ClaimPicks::default(), [], [];
        /// Labels that are taken from claims, in the same way.
        labels_from_claim: ClaimPicks = ClaimPicks::default(), [], [];
    }
}
