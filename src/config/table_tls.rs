//! The options of TLS to backends, the same for each of them. A part of the table in `table`.

use super::declare::{Declared, declared_at, dotted, options_at_places, place, section};
use super::setting::{Secret, Setting};

options_at_places! {
    /// TLS to a backend.
    BackendTls {
        /// Whether what follows counts; over gRPC, whether TLS is spoken.
        enabled: bool = false, [], [];
        /// Certificates that the backend's leads to: PEM, PEM in Base64, or a path. Empty: those of
        /// the operating system.
        server_ca_pem: String = String::new(), [], [];
        /// The certificate shown to the backend, likewise. Empty: none.
        cert_pem: String = String::new(), [], [];
        /// Its key, likewise.
        key_pem: Secret = Secret::default(), [], [];
        /// The name the backend's certificate must have. Empty: the host of the endpoint.
        server_name: String = String::new(), [], [];
        /// Takes any certificate. Only for development.
        insecure_skip_verify: bool = false, [], [];
    }

    /// TLS of the connect proxy; an `https://` endpoint has it without being asked.
    at (client.proxy.connect.http.tls);

    /// TLS of the connect proxy over gRPC.
    at (client.proxy.connect.grpc.tls);

    /// TLS of the refresh proxy; an `https://` endpoint has it without being asked.
    at (client.proxy.refresh.http.tls);

    /// TLS of the refresh proxy over gRPC.
    at (client.proxy.refresh.grpc.tls);

    /// TLS of the webhook; an `https://` endpoint has it without being asked.
    at (session_webhook.tls);
}
