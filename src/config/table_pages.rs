//! The options of pages that people look at. A part of the table in `table`.

use super::declare::{Declared, declared_at, dotted, options, place, section};
use super::setting::{Secret, Setting};

options! {
    /// A page that describes the server API and calls it.
    Swagger at (swagger) {
        /// Whether it is served, beside the API of the internal port when there is one. Without
        /// the API over HTTP there is no page.
        enabled: bool = false, ["swagger"], ["swagger"];
        /// Its path; the page is at `/swagger/`, its document at `/swagger/openapi.json`.
        handler_prefix: String = "/swagger".to_owned(), [], [];
    }

    /// The operators' page: who is connected, and how the server is ([admin.md](admin.md)).
    Admin at (admin) {
        /// Whether it is served, on the internal port when there is one.
        enabled: bool = false, ["admin"], ["admin"];
        /// What whoever signs in must know. While it or `secret` is empty nobody can sign in, unless
        /// `insecure` is set.
        password: Secret = Secret::default(), ["admin_password"], [];
        /// What tells those who have signed in from others: any long random text. When it or the
        /// password changes everybody must sign in again.
        secret: Secret = Secret::default(), ["admin_secret"], [];
        /// Lets everybody see and close sessions without a password. Only for development, or behind
        /// a wall of one's own.
        insecure: bool = false, ["admin_insecure"], ["admin_insecure"];
        /// Serves it on the external port too when there is an internal one.
        external: bool = false, ["admin_external"], ["admin_external"];
        /// Path in front of the page and of all it asks. Empty: the page is at `/`.
        handler_prefix: String = String::new(), ["admin_handler_prefix"], [];
        /// Folder with a page of one's own to serve instead, read when the server starts.
        web_path: String = String::new(), ["admin_web_path"], [];
    }
}
