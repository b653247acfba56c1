//! Backends by name (`proxies`, `granular_proxy_mode` of Centrifugo v3 to v5).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::duration;
use super::setting::{Kind, Setting};
use super::table::Config;

/// A backend by its name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedProxy {
    /// Its name.
    pub name: String,
    /// Its URL, as in `client.proxy.connect.endpoint`.
    pub endpoint: String,
    /// How long it may take.
    #[serde(deserialize_with = "read_timeout", serialize_with = "show_timeout")]
    pub timeout: Duration,
    /// Headers of a client's HTTP request that it is shown.
    pub http_headers: Vec<String>,
    /// Metadata of a client's gRPC call that it is shown.
    pub grpc_metadata: Vec<String>,
    /// Headers that go with every question over HTTP.
    pub static_http_headers: BTreeMap<String, String>,
    /// Sends data as bytes.
    pub binary_encoding: bool,
    /// Shows it `meta` of a session.
    pub include_connection_meta: bool,
    /// Certificates that it leads to over gRPC. Not empty, TLS is spoken.
    pub grpc_cert_file: String,
    /// Name of metadata that goes with every question over gRPC.
    pub grpc_credentials_key: String,
    /// Its value.
    pub grpc_credentials_value: String,
}

/// Headers and credentials may be keys.
impl fmt::Debug for NamedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedProxy").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Default for NamedProxy {
    fn default() -> Self {
        Self {
            name: String::new(),
            endpoint: String::new(),
            timeout: Duration::from_secs(1),
            http_headers: Vec::new(),
            grpc_metadata: Vec::new(),
            static_http_headers: BTreeMap::new(),
            binary_encoding: false,
            include_connection_meta: false,
            grpc_cert_file: String::new(),
            grpc_credentials_key: String::new(),
            grpc_credentials_value: String::new(),
        }
    }
}

fn read_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration::parse(&text).ok_or_else(|| D::Error::custom("expected a duration such as 1s"))
}

fn show_timeout<S: Serializer>(timeout: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&duration::show(*timeout))
}

/// All of them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NamedProxies(Vec<NamedProxy>);

impl NamedProxies {
    fn named(&self, name: &str) -> Option<&NamedProxy> {
        self.0.iter().find(|proxy| proxy.name == name)
    }
}

/// A list of objects; JSON text in the environment. Members that nothing here reads are for other
/// proxies of Centrifugo.
impl Setting for NamedProxies {
    const KIND: Kind = Kind::Secret;

    fn from_text(text: &str) -> Result<Self, String> {
        let expected =
            r#"a list such as [{"name": "auth", "endpoint": "http://backend:3000/connect"}]"#;
        // What serde would say of it may be a key.
        serde_json::from_str(text).map(Self).map_err(|_why| expected.to_owned())
    }

    fn show(&self) -> String {
        serde_json::to_string(&self.0).expect("texts are JSON")
    }
}

impl Config {
    /// The connect proxy of `granular_proxy_mode`.
    #[must_use]
    pub fn named_connect_proxy(&self) -> Option<&NamedProxy> {
        self.proxies.named(&self.connect_proxy_name).filter(|_| self.granular_proxy_mode)
    }

    /// The refresh proxy of `granular_proxy_mode`.
    #[must_use]
    pub fn named_refresh_proxy(&self) -> Option<&NamedProxy> {
        self.proxies.named(&self.refresh_proxy_name).filter(|_| self.granular_proxy_mode)
    }

    /// Whether a backend says who clients are.
    #[must_use]
    pub fn has_connect_proxy(&self) -> bool {
        self.client.proxy.connect.enabled
            || self.named_connect_proxy().is_some()
            || (!self.granular_proxy_mode && !self.proxy_connect_endpoint.is_empty())
    }
}
