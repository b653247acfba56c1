//! Public keys that verify tokens: each with the algorithms of its own family and no others, so
//! that a token cannot choose how its signature is understood (RFC 8725 §3.1).

use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    RsaSubjectPublicKey,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

use super::algorithm::Algorithm;

/// Bits of the shortest RSA key (RFC 7518 §3.3), and of the longest that is computed with.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

const RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
];

/// With the name of each curve in a JWK (RFC 7518 §6.2.1.1).
const ELLIPTIC: [(Algorithm, &EcdsaVerificationAlgorithm, &str); 3] = [
    (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, "P-256"),
    (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, "P-384"),
    (Algorithm::Es512, &ECDSA_P521_SHA512_FIXED, "P-521"),
];

/// A public key for one algorithm, prepared once for every shard. Cloning shares it.
#[derive(Clone, Debug)]
pub struct PublicKey {
    /// Its `kid`; configured keys have none.
    pub(super) id: Option<Arc<str>>,
    pub(super) algorithm: Algorithm,
    key: Arc<ParsedPublicKey>,
}

impl PublicKey {
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }

    pub(super) fn named(self, id: &Arc<str>) -> Self {
        Self { id: Some(Arc::clone(id)), ..self }
    }

    fn new(algorithm: Algorithm, key: ParsedPublicKey) -> Self {
        Self { id: None, algorithm, key: Arc::new(key) }
    }
}

/// Why something is not a key that can be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyFault {
    /// It is no PEM text with a key in it.
    #[error(
        "expected a PEM text: -----BEGIN PUBLIC KEY----- or -----BEGIN CERTIFICATE-----, its lines \
         separated by line breaks or \\n"
    )]
    Pem,
    /// A certificate that cannot be read.
    #[error(
        "the certificate cannot be read ({0}): expected X.509 version 3, or the public key alone"
    )]
    Certificate(String),
    /// The key is of another kind.
    #[error("the key in it is not {expected}")]
    Kind {
        /// What would be right.
        expected: &'static str,
    },
    /// An RSA key of a length that is not used.
    #[error("an RSA key of {0} bits: expected 2048 to 8192 (RFC 7518 §3.3)")]
    RsaBits(usize),
}

/// The key of RS256 to PS512 in this PEM text: a public key or a certificate, whose signature and
/// dates are not looked at.
///
/// # Errors
/// Why it cannot be used.
pub fn rsa_public_key(pem: &str) -> Result<Vec<PublicKey>, KeyFault> {
    let info = subject_public_key(pem)?;
    let wrong = |_opaque| KeyFault::Kind { expected: "an RSA key" };
    let bits = RsaSubjectPublicKey::from_der(&info).map_err(wrong)?.modulus_len() * 8;
    check_bits(bits)?;
    let key = |(algorithm, how): (_, &'static RsaParameters)| {
        Ok(PublicKey::new(algorithm, ParsedPublicKey::new(how, &info).map_err(wrong)?))
    };
    RSA.into_iter().map(key).collect()
}

/// The key of ES256, ES384 or ES512, by its curve, in this PEM text.
///
/// # Errors
/// Why it cannot be used.
pub fn ecdsa_public_key(pem: &str) -> Result<Vec<PublicKey>, KeyFault> {
    let info = subject_public_key(pem)?;
    let key = ELLIPTIC.into_iter().find_map(|(algorithm, how, _)| {
        Some(PublicKey::new(algorithm, ParsedPublicKey::new(how, &info).ok()?))
    });
    let expected = "an elliptic key on P-256, P-384 or P-521";
    key.map(|key| vec![key]).ok_or(KeyFault::Kind { expected })
}

/// The key of EdDSA in this PEM text: an Ed25519 key.
///
/// # Errors
/// Why it cannot be used.
pub fn eddsa_public_key(pem: &str) -> Result<Vec<PublicKey>, KeyFault> {
    let info = subject_public_key(pem)?;
    ed25519(&info).map(|key| vec![key]).ok_or(KeyFault::Kind { expected: "an Ed25519 key" })
}

/// A key of RSA given as modulus and exponent, big-endian.
pub(super) fn rsa_of_parts(modulus: &[u8], exponent: &[u8]) -> Option<Vec<PublicKey>> {
    // Some issuers write the sign bit of an ASN.1 integer in front.
    let n = modulus.iter().position(|byte| *byte != 0).and_then(|at| modulus.get(at..))?;
    check_bits(n.len() * 8).ok()?;
    let parts = RsaPublicKeyComponents { n, e: exponent };
    let key = |(algorithm, how): (_, &'static RsaParameters)| {
        Some(PublicKey::new(algorithm, parts.to_parsed_public_key(how).ok()?))
    };
    RSA.into_iter().map(key).collect()
}

/// A key on a curve, given as coordinates.
pub(super) fn elliptic_of_parts(curve: &str, x: &[u8], y: &[u8]) -> Option<PublicKey> {
    let (algorithm, how, _) = ELLIPTIC.into_iter().find(|(_, _, name)| *name == curve)?;
    // An uncompressed point (SEC 1 §2.3.3). Coordinates of another length lie on no curve.
    let point = [&[4], x, y].concat();
    Some(PublicKey::new(algorithm, ParsedPublicKey::new(how, point).ok()?))
}

/// An Ed25519 key: 32 bytes, or a `SubjectPublicKeyInfo`.
pub(super) fn ed25519(bytes: &[u8]) -> Option<PublicKey> {
    Some(PublicKey::new(Algorithm::EdDsa, ParsedPublicKey::new(&ED25519, bytes).ok()?))
}

fn check_bits(bits: usize) -> Result<(), KeyFault> {
    if RSA_BITS.contains(&bits) { Ok(()) } else { Err(KeyFault::RsaBits(bits)) }
}

/// The `SubjectPublicKeyInfo` (RFC 5280 §4.1) of a PEM text.
fn subject_public_key(pem: &str) -> Result<Vec<u8>, KeyFault> {
    // An environment variable has no line breaks; there they are written out.
    let pem = pem.replace("\\n", "\n");
    if let Ok(info) = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()) {
        return Ok(info.to_vec());
    }
    let certificate =
        CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_opaque| KeyFault::Pem)?;
    let certificate = webpki::EndEntityCert::try_from(&certificate)
        .map_err(|why| KeyFault::Certificate(why.to_string()))?;
    Ok(certificate.subject_public_key_info().to_vec())
}
