//! Key pairs made and used by `openssl`, as a backend or an identity provider would.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};

use crate::harness::run;

/// A key pair in a file.
pub(crate) struct Pair<'d> {
    dir: &'d Path,
    name: &'static str,
}

fn openssl(dir: &Path, args: &[&str]) -> String {
    let output = run(Command::new("openssl").current_dir(dir).args(args));
    assert_eq!(output.code, Some(0), "{args:?}: {output:?}");
    output.stdout
}

impl<'d> Pair<'d> {
    pub(crate) fn new(dir: &'d Path, name: &'static str, kind: &[&str]) -> Self {
        let file = format!("{name}.pem");
        openssl(dir, &[&["genpkey", "-out", &file, "-algorithm"], kind].concat());
        Self { dir, name }
    }

    pub(crate) fn public(&self) -> String {
        let file = format!("{}.pem", self.name);
        openssl(self.dir, &["pkey", "-in", &file, "-pubout"])
    }

    /// The same in a certificate that the key has signed itself.
    pub(crate) fn certificate(&self) -> String {
        let file = format!("{}.pem", self.name);
        let args = ["req", "-x509", "-key", &file, "-subj", "/CN=tokens", "-days", "2"];
        openssl(self.dir, &args)
    }

    /// As a key of a set, with this id.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let file = format!("{}.pem", self.name);
        openssl(self.dir, &["pkey", "-in", &file, "-pubout", "-outform", "DER", "-out", "public"]);
        let der = std::fs::read(self.dir.join("public")).expect("a public key");
        let last = |len: usize| &der[der.len() - len..];
        let encode = |bytes: &[u8]| BASE64URL.encode(bytes);
        match der.len() {
            // Ed25519 and P-256: the key ends the SubjectPublicKeyInfo.
            44 => json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": encode(last(32))}),
            91 => {
                let (x, y) = last(64).split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig",
                       "x": encode(x), "y": encode(y)})
            }
            _ => {
                // Modulus of 2,048 bits, then the exponent 65,537 as INTEGER of three bytes.
                let (modulus, exponent) = last(256 + 5).split_at(256);
                json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256",
                       "n": encode(modulus), "e": encode(&exponent[2..])})
            }
        }
    }

    pub(crate) fn token(&self, algorithm: &str, claims: &Value) -> String {
        self.token_with(&json!({"alg": algorithm}), claims)
    }

    /// With a header that says more.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let algorithm = header["alg"].as_str().expect("an algorithm");
        let encode = |json: &Value| BASE64URL.encode(json.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let text = self.dir.join("message");
        std::fs::write(&text, &message).expect("the message is written");
        format!("{message}.{}", BASE64URL.encode(self.signature(algorithm)))
    }

    fn signature(&self, algorithm: &str) -> Vec<u8> {
        let file = format!("{}.pem", self.name);
        if algorithm == "EdDSA" {
            let args = ["pkeyutl", "-sign", "-rawin", "-inkey", &file, "-in", "message"];
            return self.signed(&args);
        }
        let (family, bits) = algorithm.split_at(2);
        let digest = format!("-sha{bits}");
        let mut args = vec!["dgst", &digest, "-sign", &file];
        if family == "PS" {
            args.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
        }
        args.push("message");
        let signature = self.signed(&args);
        if family == "ES" {
            let half = if bits == "512" { 66 } else { bits.parse::<usize>().expect("bits") / 8 };
            return halves(&signature, half);
        }
        signature
    }

    fn signed(&self, args: &[&str]) -> Vec<u8> {
        let (command, args) = args.split_first().expect("a command");
        openssl(self.dir, &[&[*command, "-out", "signature"], args].concat());
        std::fs::read(self.dir.join("signature")).expect("a signature")
    }
}

/// The two integers of an ECDSA signature in DER, each padded to its length (RFC 7518 §3.4).
fn halves(der: &[u8], half: usize) -> Vec<u8> {
    // SEQUENCE, its length in one byte or in two, INTEGER r, INTEGER s.
    let mut rest = if der[1] & 0x80 == 0 { &der[2..] } else { &der[3..] };
    let mut both = Vec::new();
    for _ in 0..2 {
        let (integer, after) = rest[2..].split_at(usize::from(rest[1]));
        let digits = integer.strip_prefix(&[0]).unwrap_or(integer);
        both.resize(both.len() + half - digits.len(), 0);
        both.extend_from_slice(digits);
        rest = after;
    }
    both
}

/// A certificate for this name and its key, as files in the directory.
pub(crate) fn certificate(dir: &Path, name: &str) -> [String; 2] {
    let [cert, key] = ["crt", "key"].map(|kind| dir.join(format!("{name}.{kind}")));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", "/CN=test", "-addext", &format!("subjectAltName=DNS:{name}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{made:?}");
    [cert, key].map(|path| path.to_str().expect("text").to_owned())
}
